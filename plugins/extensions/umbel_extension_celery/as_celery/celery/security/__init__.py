"""Signed messages."""

from __future__ import annotations

from umbel_extension_celery.signing import setup_security

__all__ = [
    "setup_security",
]
