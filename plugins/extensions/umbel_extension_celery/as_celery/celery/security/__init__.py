"""Signed messages."""

from __future__ import annotations

from umbel_extension_celery.signing import disable_untrusted_serializers, setup_security

__all__ = [
    "disable_untrusted_serializers",
    "setup_security",
]
