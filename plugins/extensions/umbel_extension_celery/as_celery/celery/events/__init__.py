"""Events."""

from __future__ import annotations

from umbel.events import Event, group_from
from umbel_extension_celery.outside import EventDispatcher, EventReceiver

__all__ = [
    "Event",
    "EventDispatcher",
    "EventReceiver",
    "group_from",
]
