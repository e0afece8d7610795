"""Who tells."""

from __future__ import annotations

from umbel_extension_celery.outside import EventDispatcher

__all__ = [
    "EventDispatcher",
]
