"""Pools."""

from __future__ import annotations

from umbel_extension_celery.pool_names import get_available_pool_names, get_implementation

__all__ = [
    "get_available_pool_names",
    "get_implementation",
]
