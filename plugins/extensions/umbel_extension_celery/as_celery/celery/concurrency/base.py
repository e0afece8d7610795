"""The base class of pools."""

from __future__ import annotations

from umbel_extension_celery.pools import BasePool, apply_target

__all__ = [
    "BasePool",
    "apply_target",
]
