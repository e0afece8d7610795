"""The scheduler ``demo``: entries in memory, to be replaced by your store of schedules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import ScheduleEntry, Scheduler

__all__ = ["DemoScheduler", "plugin_info", "umbel_scheduler"]

plugin_info = PluginInfo(kind="scheduler", names=("demo",), summary="entries in memory")

LONGEST_SLEEP_S = 300.0


class DemoScheduler(Scheduler):
    """Keeps entries: name -> ``task``, ``schedule`` (seconds, a timedelta, or an object with ``is_due``) and options."""

    def __init__(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        now = dt.datetime.now(dt.UTC)
        self._entries = [ScheduleEntry(name=name, last_run_at=now, **fields) for name, fields in entries.items()]

    def entries(self) -> Sequence[ScheduleEntry]:
        return list(self._entries)

    def due(self, now: float) -> tuple[Sequence[ScheduleEntry], float]:
        looks = [(entry, *_look(entry, now)) for entry in self._entries]
        sleep_s = min([LONGEST_SLEEP_S, *(next_s for _, _, next_s in looks)])
        return [entry for entry, is_due, _ in looks if is_due], max(sleep_s, 0.001)

    def sent(self, entry: ScheduleEntry, at: float) -> None:
        entry.last_run_at = dt.datetime.fromtimestamp(at, dt.UTC)
        entry.total_run_count += 1

    def sync(self) -> None: ...

    def close(self) -> None: ...


def _look(entry: ScheduleEntry, now: float) -> tuple[bool, float]:
    """Say whether *entry* is due, and in how many seconds to look again."""
    if hasattr(entry.schedule, "is_due"):
        is_due, next_s = entry.schedule.is_due(entry.last_run_at)
        return bool(is_due), float(next_s)
    interval = entry.schedule
    interval_s = interval.total_seconds() if isinstance(interval, dt.timedelta) else float(interval)
    left_s: float = entry.last_run_at.timestamp() + interval_s - now
    return left_s <= 0, left_s if left_s > 0 else interval_s


@hookimpl
def umbel_scheduler(app: Any, options: Mapping[str, Any]) -> Scheduler:
    """Make the scheduler of ``beat_schedule``; *options* may hold another one."""
    return DemoScheduler(options.get("beat_schedule") or app.conf.beat_schedule)
