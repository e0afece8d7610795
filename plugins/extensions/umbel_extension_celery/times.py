"""Times and zones that programs import from Celery."""

from __future__ import annotations

import datetime as dt
import random
import time as _time
from typing import Any, Final
from zoneinfo import ZoneInfo

__all__ = [
    "LocalTimezone",
    "adjust_timestamp",
    "delta_resolution",
    "get_exponential_backoff_interval",
    "humanize_seconds",
    "is_naive",
    "localize",
    "make_aware",
    "maybe_iso8601",
    "maybe_make_aware",
    "maybe_timedelta",
    "parse_iso8601",
    "rate",
    "remaining",
    "timezone",
    "to_utc",
    "utcoffset",
    "weekday",
]

_RATES: Final = {"s": 1.0, "m": 1 / 60.0, "h": 1 / 3600.0}
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_UNITS: Final = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))


class LocalTimezone(dt.tzinfo):
    """The zone of this machine."""

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        """Return the difference to UTC."""
        return (when or dt.datetime.now()).replace(tzinfo=None).astimezone().utcoffset() or dt.timedelta(0)  # noqa: DTZ005

    def dst(self, when: dt.datetime | None) -> dt.timedelta:
        """Return the summer time's part of it, which is not told apart."""
        return dt.timedelta(0)

    def tzname(self, when: dt.datetime | None) -> str:
        """Return the zone's name."""
        return _time.tzname[0]


class _Timezones:
    """Celery's ``timezone``: zones by their names."""

    utc = dt.UTC

    @property
    def local(self) -> dt.tzinfo:
        """The zone of this machine."""
        return LocalTimezone()

    def get_timezone(self, zone: Any) -> dt.tzinfo:
        """Return the zone of a name; a zone as it is."""
        if isinstance(zone, str):
            return dt.UTC if zone.upper() == "UTC" else ZoneInfo(zone)
        found: dt.tzinfo = zone
        return found

    tz_or_local = get_timezone

    def to_local(self, when: dt.datetime, local: Any = None, orig: Any = None) -> dt.datetime:
        """Return *when* in a zone."""
        aware = make_aware(when, orig or dt.UTC) if is_naive(when) else when
        return localize(aware, self.get_timezone(local) if local else self.local)


timezone = _Timezones()


def is_naive(when: dt.datetime) -> bool:
    """Say whether a time has no zone."""
    return when.tzinfo is None or when.tzinfo.utcoffset(when) is None


def make_aware(when: dt.datetime, tz: dt.tzinfo) -> dt.datetime:
    """Return a time without zone in *tz*."""
    return when.replace(tzinfo=tz)


def localize(when: dt.datetime, tz: dt.tzinfo) -> dt.datetime:
    """Return a time in the zone *tz*."""
    return when.astimezone(tz)


def to_utc(when: dt.datetime) -> dt.datetime:
    """Return a time in UTC; one without zone is in UTC."""
    return make_aware(when, dt.UTC) if is_naive(when) else when.astimezone(dt.UTC)


def maybe_make_aware(when: dt.datetime, tz: dt.tzinfo | None = None, naive_as_utc: bool = True) -> dt.datetime:
    """Return a time that has a zone, in *tz*."""
    if is_naive(when):
        when = make_aware(when, dt.UTC if naive_as_utc else tz or dt.UTC)
    return localize(when, dt.UTC if tz is None else tz)


def maybe_timedelta(delta: Any) -> Any:
    """Return a number of seconds as a timedelta, anything else as it is."""
    return dt.timedelta(seconds=delta) if isinstance(delta, int | float) else delta


def delta_resolution(when: dt.datetime, delta: dt.timedelta) -> dt.datetime:
    """Round a time down to the unit of *delta*."""
    seconds = max(delta.total_seconds(), 0)
    if seconds >= 86400:
        return when.replace(hour=0, minute=0, second=0, microsecond=0)
    if seconds >= 3600:
        return when.replace(minute=0, second=0, microsecond=0)
    return when.replace(second=0, microsecond=0) if seconds >= 60 else when


def remaining(
    start: dt.datetime, ends_in: dt.timedelta, now: dt.datetime | None = None, relative: bool = False
) -> dt.timedelta:
    """Return how long it is until *start* plus *ends_in*; negative when that is over."""
    now = dt.datetime.now(dt.UTC) if now is None else now
    end = start + ends_in
    if relative:
        end = delta_resolution(end, ends_in).replace(microsecond=0)
    return end - now


def rate(r: str | float | None) -> float:
    """Return a rate such as ``"100/m"`` in calls a second."""
    if not r:
        return 0.0
    if isinstance(r, str):
        count, _, unit = r.partition("/")
        return float(count) * _RATES[unit or "s"]
    return float(r)


def weekday(name: str) -> int:
    """Return the number of a day: 0 is Sunday. ``KeyError`` for what is none."""
    key = name[:3].lower()
    if key not in _DAYS:
        raise KeyError(name)
    return _DAYS.index(key)


def humanize_seconds(secs: float, prefix: str = "", sep: str = "", now: str = "now", microseconds: bool = False) -> str:
    """Return a time span for people: ``2.00 minutes``."""
    for size, unit in _UNITS:
        if secs >= size:
            count = secs / size
            return f"{prefix}{sep}{count:.2f} {unit}{'s' if count > 1 else ''}"
    return f"{prefix}{sep}{secs:.2f} seconds" if microseconds and secs > 0 else now


def parse_iso8601(text: str) -> dt.datetime:
    """Return the time that *text* says. ``ValueError`` for what is none."""
    return dt.datetime.fromisoformat(text)


def maybe_iso8601(when: Any) -> Any:
    """Return a time for text, anything else as it is."""
    return parse_iso8601(when) if isinstance(when, str) else when


def utcoffset(time: Any = _time, localtime: Any = _time.localtime) -> int:
    """Return this machine's difference to UTC in hours, west positive."""
    seconds: int = time.altzone if localtime().tm_isdst else time.timezone
    return seconds // 3600


def adjust_timestamp(ts: float, offset: int, here: Any = utcoffset) -> float:
    """Return a time stamp of a machine with *offset* as one of this machine."""
    return ts - float(offset - here()) * 3600


def get_exponential_backoff_interval(factor: int, retries: int, maximum: int, full_jitter: bool = False) -> int:
    """Return how many seconds to wait before the next try."""
    countdown = min(maximum, factor * (2**retries))
    return max(0, random.randrange(countdown + 1) if full_jitter else countdown)
