"""Events."""

from __future__ import annotations

from umbel.events import Event, group_from

__all__ = [
    "Event",
    "group_from",
]
