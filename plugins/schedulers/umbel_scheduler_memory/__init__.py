"""A scheduler that keeps its entries in memory: intervals, and any schedule that says itself when it is due.

Entries are those of the setting ``beat_schedule``. Last run times are forgotten when the program ends: each entry then
waits for its whole interval again.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from umbel.exceptions import ImproperlyConfigured
from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import ScheduleEntry, Scheduler

__all__ = ["MemoryScheduler", "plugin_info", "umbel_scheduler"]

plugin_info = PluginInfo(kind="scheduler", names=("memory",), summary="entries in memory, run times forgotten at exit")

#: The longest sleep, so that a changed clock or entry is noticed.
_LONGEST_SLEEP_S: Final = 300.0
_FIELDS: Final = frozenset({"task", "schedule", "args", "kwargs", "options"})


class MemoryScheduler(Scheduler):
    """Keeps *entries*: name -> ``task``, ``schedule`` (seconds, a timedelta, or an object with ``is_due``), ``args``,
    ``kwargs``, ``options``. The first run is one interval after the start.
    """

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self._entries = [_make_entry(name, fields) for name, fields in entries.items()]

    def entries(self) -> Sequence[ScheduleEntry]:
        return list(self._entries)

    def due(self, now: float) -> tuple[Sequence[ScheduleEntry], float]:
        due: list[ScheduleEntry] = []
        sleep_s = _LONGEST_SLEEP_S
        for entry in self._entries:
            is_due, next_s = _ask(entry, now)
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


def _make_entry(name: str, fields: Any) -> ScheduleEntry:
    if isinstance(fields, ScheduleEntry):
        return attrs.evolve(fields)
    if not isinstance(fields, Mapping) or not {"task", "schedule"} <= fields.keys() <= _FIELDS:
        raise ImproperlyConfigured(
            f"expected the entry {name!r} of beat_schedule to have 'task' and 'schedule', and none but "
            f"{', '.join(sorted(_FIELDS))}; got {fields!r}"
        )
    schedule = fields["schedule"]
    is_interval = isinstance(schedule, int | float | dt.timedelta) and not isinstance(schedule, bool)
    if is_interval and _seconds(schedule) <= 0:
        raise ImproperlyConfigured(f"expected the schedule of {name!r} to be a time above zero, got {schedule!r}")
    if not is_interval and not hasattr(schedule, "is_due"):
        raise ImproperlyConfigured(
            f"expected the schedule of {name!r} to be seconds, a timedelta, or an object with is_due(), got {schedule!r}"
        )
    return ScheduleEntry(name=name, **fields, last_run_at=dt.datetime.fromtimestamp(time.time(), dt.UTC))


def _seconds(interval: Any) -> float:
    return interval.total_seconds() if isinstance(interval, dt.timedelta) else float(interval)


def _ask(entry: ScheduleEntry, now: float) -> tuple[bool, float]:
    """Return whether *entry* is due, and in how many seconds to look again."""
    if hasattr(entry.schedule, "is_due"):
        is_due, next_s = entry.schedule.is_due(entry.last_run_at)
        return bool(is_due), float(next_s)
    interval_s = _seconds(entry.schedule)
    left_s = entry.last_run_at.timestamp() + interval_s - now
    return (True, interval_s) if left_s <= 0 else (False, left_s)


@hookimpl
def umbel_scheduler(app: Any, options: Mapping[str, Any]) -> Scheduler:
    """Make the scheduler of ``beat_schedule``, which *options* may hold instead of the app's settings."""
    entries = options.get("beat_schedule")
    if entries is None:
        entries = {} if app is None else app.conf.beat_schedule
    return MemoryScheduler(entries)
