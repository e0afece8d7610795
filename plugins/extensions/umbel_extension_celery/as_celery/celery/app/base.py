"""The application."""

from __future__ import annotations

from umbel_extension_celery.application import Celery

__all__ = [
    "Celery",
]
