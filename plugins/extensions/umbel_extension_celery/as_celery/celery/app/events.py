"""Events."""

from __future__ import annotations

from umbel_extension_celery.outside import CeleryEvents as Events

__all__ = [
    "Events",
]
