"""Moments of a call: countdowns and expiries made absolute and aware."""

from __future__ import annotations

import datetime as dt

__all__ = ["absolute_eta", "absolute_expiry", "as_moment", "zone"]


def zone(name: str | dt.tzinfo | None) -> dt.tzinfo:
    """Return the time zone of a setting: UTC for ``None``."""
    if name is None:
        return dt.UTC
    if isinstance(name, dt.tzinfo):
        return name
    if name.upper() == "UTC":
        return dt.UTC
    from zoneinfo import ZoneInfo  # stdlib, costs milliseconds, and few configurations name a zone

    return ZoneInfo(name)


def as_moment(value: dt.datetime | str, naive_zone: dt.tzinfo, option: str) -> dt.datetime:
    """Return *value* in UTC (C014); text is ISO 8601, naive times are in *naive_zone*."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError(
                f"{option}: expected a datetime or ISO 8601 text such as 2030-01-31T12:00:00+00:00, got {value!r}"
            ) from error
    if not isinstance(value, dt.datetime):
        raise TypeError(f"{option}: expected a datetime or ISO 8601 text, got {type(value).__name__} {value!r}")
    return (value if value.tzinfo is not None else value.replace(tzinfo=naive_zone)).astimezone(dt.UTC)


def _seconds(value: object, option: str) -> float | None:
    """Return a number or timedelta in seconds; ``None`` for what is neither."""
    if isinstance(value, bool):
        raise TypeError(f"{option}: expected a number of seconds, got {value!r}")
    if isinstance(value, int | float):
        return float(value)
    return value.total_seconds() if isinstance(value, dt.timedelta) else None


def absolute_eta(
    countdown: float | dt.timedelta | None, eta: dt.datetime | str | None, now: dt.datetime, naive_zone: dt.tzinfo
) -> dt.datetime | None:
    """Return when the call may start, from ``countdown`` (seconds) or ``eta``; both at once are a ``ValueError``."""
    if countdown is None:
        return None if eta is None else as_moment(eta, naive_zone, "eta")
    if eta is not None:
        raise ValueError(
            "countdown and eta: expected one of them, got both; countdown is short for eta = now + countdown"
        )
    seconds = _seconds(countdown, "countdown")
    if seconds is None:
        raise TypeError(f"countdown: expected a number of seconds, got {type(countdown).__name__} {countdown!r}")
    return now.astimezone(dt.UTC) + dt.timedelta(seconds=seconds)


def absolute_expiry(
    expires: float | dt.timedelta | dt.datetime | str | None, now: dt.datetime, naive_zone: dt.tzinfo
) -> dt.datetime | None:
    """Return after when the call must not start, from seconds after *now*, a timedelta or a moment."""
    if expires is None:
        return None
    seconds = _seconds(expires, "expires")
    if seconds is not None:
        return now.astimezone(dt.UTC) + dt.timedelta(seconds=seconds)
    return as_moment(expires, naive_zone, "expires")  # type: ignore[arg-type]  # numbers and timedeltas are done above
