"""The loader of applications that configure themselves."""

from __future__ import annotations

from umbel_extension_celery.loading import AppLoader

__all__ = [
    "AppLoader",
]
