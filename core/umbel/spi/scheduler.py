"""The contract of a scheduler: what ``beat`` sends, and when."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

__all__ = ["ScheduleEntry", "Scheduler"]


@attrs.define(kw_only=True)
class ScheduleEntry:
    """A task to send again and again. *schedule* answers ``is_due(last_run_at)`` with (due, seconds to the next look)."""

    name: str
    task: str
    schedule: Any
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = attrs.field(factory=dict)
    options: Mapping[str, Any] = attrs.field(factory=dict)
    last_run_at: Any = None
    total_run_count: int = 0


class Scheduler(ABC):
    """Keeps entries and their last run times. Used by one thread."""

    @abstractmethod
    def entries(self) -> Sequence[ScheduleEntry]:
        """Return every entry."""

    @abstractmethod
    def due(self, now: float) -> tuple[Sequence[ScheduleEntry], float]:
        """Return the entries due at *now* (Unix seconds), and how many seconds to sleep before asking again."""

    @abstractmethod
    def sent(self, entry: ScheduleEntry, at: float) -> None:
        """Note that *entry* was sent at *at*."""

    @abstractmethod
    def sync(self) -> None:
        """Make the last run times durable, where there is a place for them."""

    @abstractmethod
    def close(self) -> None:
        """Sync and let go of resources. May be called twice."""
