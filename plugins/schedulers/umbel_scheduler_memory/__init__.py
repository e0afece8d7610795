"""A scheduler that keeps its entries in memory: intervals, and any schedule that says itself when it is due.

Entries are those of the setting ``beat_schedule``. Last run times are forgotten when the program ends: each entry then
waits for its whole interval again.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.schedules.entries import look_at, make_entries
from umbel.spi import ScheduleEntry, Scheduler

__all__ = ["MemoryScheduler", "plugin_info", "umbel_scheduler"]

plugin_info = PluginInfo(kind="scheduler", names=("memory",), summary="entries in memory, run times forgotten at exit")

#: The longest sleep, so that a changed clock or entry is noticed.
_LONGEST_SLEEP_S: Final = 300.0


class MemoryScheduler(Scheduler):
    """Keeps *entries*, made and checked. The first run of each is one interval after the start."""

    def __init__(self, entries: Mapping[str, ScheduleEntry]) -> None:
        self._entries = list(entries.values())

    def entries(self) -> Sequence[ScheduleEntry]:
        return list(self._entries)

    def due(self, now: float) -> tuple[Sequence[ScheduleEntry], float]:
        due: list[ScheduleEntry] = []
        sleep_s = _LONGEST_SLEEP_S
        for entry in self._entries:
            is_due, next_s = look_at(entry, now)
            if is_due:
                due.append(entry)
            sleep_s = min(sleep_s, next_s)
        return due, max(0.001, sleep_s)

    def sent(self, entry: ScheduleEntry, at: float) -> None:
        entry.last_run_at = dt.datetime.fromtimestamp(at, dt.UTC)
        entry.total_run_count += 1

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass


@hookimpl
def umbel_scheduler(app: Any, options: Mapping[str, Any]) -> Scheduler:
    """Make the scheduler of ``beat_schedule``, which *options* may hold instead of the app's settings."""
    entries = options.get("beat_schedule")
    if entries is None:
        entries = {} if app is None else app.conf.beat_schedule
    return MemoryScheduler(make_entries(entries, app, dt.datetime.fromtimestamp(time.time(), dt.UTC)))
