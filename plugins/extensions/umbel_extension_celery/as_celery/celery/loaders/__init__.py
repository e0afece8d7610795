"""Loaders."""

from __future__ import annotations

from umbel_extension_celery.loading import find_loader as get_loader_cls

__all__ = [
    "get_loader_cls",
]
