"""Ids."""

from __future__ import annotations

from umbel_extension_celery.names import uuid

__all__ = [
    "uuid",
]
