"""Entries of ``beat_schedule``, read and checked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from umbel.exceptions import ImproperlyConfigured
from umbel.schedules.intervals import maybe_schedule
from umbel.spi.scheduler import ScheduleEntry
from umbel.suggestions import suggest

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["look_at", "make_entries"]

_FIELDS: Final = ("task", "schedule", "args", "kwargs", "options", "relative")


def make_entries(entries: Mapping[str, Any], app: Umbel | None, now: dt.datetime) -> dict[str, ScheduleEntry]:
    """Return the entries of *entries* by name: each a dict with ``task`` and ``schedule``, or an entry already.

    An entry without a last run counts from *now*: its first run is one interval later (A294). Raises
    :class:`~umbel.exceptions.ImproperlyConfigured` that names the entry and what is wrong with it.
    """
    return {name: _make_entry(name, fields, app, now) for name, fields in entries.items()}


def _make_entry(name: str, fields: Any, app: Umbel | None, now: dt.datetime) -> ScheduleEntry:
    if isinstance(fields, ScheduleEntry):
        fields = {field: getattr(fields, field) for field in ("task", "schedule", "args", "kwargs", "options")}
    _check_fields(name, fields)
    schedule = fields["schedule"]
    try:
        schedule = maybe_schedule(schedule, bool(fields.get("relative", False)), app)
    except ImproperlyConfigured as error:
        raise ImproperlyConfigured(f"beat_schedule, entry {name!r}: {error}") from error
    if not hasattr(schedule, "is_due"):
        raise ImproperlyConfigured(
            f"beat_schedule, entry {name!r}: expected the schedule to be seconds, a timedelta, a crontab or an object "
            f"with is_due(), got {schedule!r}"
        )
    return ScheduleEntry(
        name=name,
        task=fields["task"],
        schedule=schedule,
        args=tuple(fields.get("args") or ()),
        kwargs=dict(fields.get("kwargs") or {}),
        options=dict(fields.get("options") or {}),
        last_run_at=now,
    )


def _check_fields(name: str, fields: Any) -> None:
    if not isinstance(fields, Mapping):
        raise ImproperlyConfigured(
            f"beat_schedule, entry {name!r}: expected a dict such as {{'task': 'proj.tasks.add', 'schedule': 30.0}}, got "
            f"{fields!r}"
        )
    for field in fields:
        if field not in _FIELDS:
            raise ImproperlyConfigured(
                f"beat_schedule, entry {name!r}: unknown field {field!r}{suggest(field, _FIELDS)}; known are "
                f"{', '.join(_FIELDS)}"
            )
    for field in ("task", "schedule"):
        if not fields.get(field):
            raise ImproperlyConfigured(f"beat_schedule, entry {name!r}: expected {field!r}, got none")


def look_at(entry: ScheduleEntry, now: float) -> tuple[bool, float]:
    """Return whether *entry* is due at *now* (Unix seconds), and in how many seconds to look again."""
    schedule = entry.schedule
    if getattr(schedule, "nowfun", True) is not None:  # an object of the user's own, or one with a clock of its own
        is_due, next_s = schedule.is_due(entry.last_run_at)
        return bool(is_due), float(next_s)
    schedule.nowfun = lambda: dt.datetime.fromtimestamp(now, dt.UTC)
    try:
        is_due, next_s = schedule.is_due(entry.last_run_at)
    finally:
        schedule.nowfun = None
    return bool(is_due), float(next_s)
