"""The base class of loaders."""

from __future__ import annotations

from umbel_extension_celery.loading import BaseLoader

__all__ = [
    "BaseLoader",
]
