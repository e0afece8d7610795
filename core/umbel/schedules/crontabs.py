"""Schedules in the manner of cron."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Self

from umbel.exceptions import ImproperlyConfigured
from umbel.schedules.cron_fields import ParseException, expand
from umbel.schedules.intervals import BaseSchedule, schedstate

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["crontab"]

#: A 29th of February on a given day of the week comes again within 40 years.
_LONGEST_SEARCH_DAYS: Final = 366 * 41
_MINUTE: Final = dt.timedelta(minutes=1)
Field = int | str | Iterable[int]


class crontab(BaseSchedule):
    """Runs at the minutes that all five fields agree on; ``crontab()`` is every minute.

    A field is a number, a list of numbers, or text: ``*``, ``*/15``, ``8-17``, ``mon-fri``, and lists of these. Sunday is
    0. The fields are read in the application's time zone. A time that summer time leaves out is run right after the
    gap; one that comes twice runs once, unless every hour is wanted.
    """

    def __init__(
        self,
        minute: Field = "*",
        hour: Field = "*",
        day_of_week: Field = "*",
        day_of_month: Field = "*",
        month_of_year: Field = "*",
        nowfun: Callable[[], dt.datetime] | None = None,
        app: Umbel | None = None,
    ) -> None:
        super().__init__(nowfun, app)
        self._orig_minute = _kept(minute)
        self._orig_hour = _kept(hour)
        self._orig_day_of_week = _kept(day_of_week)
        self._orig_day_of_month = _kept(day_of_month)
        self._orig_month_of_year = _kept(month_of_year)
        self.minute = expand(self._orig_minute, 60)
        self.hour = expand(self._orig_hour, 24)
        self.day_of_week = expand(self._orig_day_of_week, 7)
        self.day_of_month = expand(self._orig_day_of_month, 31, 1)
        self.month_of_year = expand(self._orig_month_of_year, 12, 1)
        self._minutes = sorted(self.minute)
        self._hours = sorted(self.hour)

    @classmethod
    def from_string(cls, crontab: str) -> Self:
        """Read five fields in cron's order: minute, hour, day of month, month, day of week."""
        fields = crontab.split()
        if len(fields) != 5:
            raise ParseException(
                f"expected five fields (minute hour day-of-month month day-of-week), got {len(fields)} in {crontab!r}"
            )
        minute, hour, day_of_month, month_of_year, day_of_week = fields
        return cls(minute, hour, day_of_week, day_of_month, month_of_year)

    # -- when ---------------------------------------------------------------------------------------------------------

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """Return the first time to run that is later than *moment*, in the schedule's zone.

        Raises :class:`~umbel.exceptions.ImproperlyConfigured` when there is none (30 February).
        """
        tz = self.tz
        local = moment.astimezone(tz)
        if len(self.hour) == 24:
            soon = self._soon_after(moment, tz)
            if soon is not None:
                return soon
        naive = local.replace(tzinfo=None, second=0, microsecond=0)
        for found in self._matches_from(naive):
            # Beyond a gap, a local time that was left out means the moment after it.
            aware = found.replace(tzinfo=tz).astimezone(dt.UTC).astimezone(tz)
            if aware > moment:
                return aware
        raise ImproperlyConfigured(f"{self!r} never comes: no such day exists; check day_of_month and month_of_year")

    def _soon_after(self, moment: dt.datetime, tz: dt.tzinfo) -> dt.datetime | None:
        """Look through the next two hours minute by minute: across a change of the clock every minute counts."""
        utc = moment.astimezone(dt.UTC)
        if utc.astimezone(tz).utcoffset() == (utc + dt.timedelta(hours=3)).astimezone(tz).utcoffset():
            return None
        utc = utc.replace(second=0, microsecond=0)
        for _ in range(120):
            utc += _MINUTE
            local = utc.astimezone(tz)
            if self._is_day(local) and local.minute in self.minute:
                return local
        return None

    def _matches_from(self, start: dt.datetime) -> Iterable[dt.datetime]:
        """Yield the local times that match, from *start*'s minute on."""
        day = start.replace(hour=0, minute=0)
        for _ in range(_LONGEST_SEARCH_DAYS):
            if day.month not in self.month_of_year:
                day = (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
                if day.year - start.year > 41:
                    return
                continue
            if self._is_day(day):
                for hour in self._hours:
                    for minute in self._minutes:
                        found = day.replace(hour=hour, minute=minute)
                        if found >= start:
                            yield found
            day += dt.timedelta(days=1)

    def _is_day(self, when: dt.datetime) -> bool:
        return (
            when.month in self.month_of_year
            and when.day in self.day_of_month
            and when.isoweekday() % 7 in self.day_of_week
        )

    def remaining_estimate(self, last_run_at: dt.datetime) -> dt.timedelta:
        return self.next_after(self.maybe_make_aware(last_run_at)) - self.now()

    def is_due(self, last_run_at: dt.datetime) -> schedstate:
        """Say whether a run is due, and when to look next.

        A run that was missed for longer than ``beat_cron_starting_deadline`` is not started any more.
        """
        now = self.now()
        due = self.next_after(self.maybe_make_aware(last_run_at))
        left_s = (due - now).total_seconds()
        if left_s > 0:
            return schedstate(False, left_s)
        following = self.next_after(now)
        deadline_s = None if self.app is None else self.app.conf.beat_cron_starting_deadline
        is_in_time = deadline_s is None or (now - self._latest(due, now)).total_seconds() <= deadline_s
        return schedstate(is_in_time, (following - now).total_seconds())

    def _latest(self, due: dt.datetime, now: dt.datetime) -> dt.datetime:
        """Return the last time to run that is not after *now*, from *due* on; a day back is far enough to look."""
        latest = due
        following = self.next_after(max(due, now - dt.timedelta(days=1)))
        while following <= now:
            latest, following = following, self.next_after(following)
        return latest

    # -- forms --------------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return isinstance(other, crontab) and self._fields() == other._fields()

    __hash__ = BaseSchedule.__hash__

    def _fields(self) -> tuple[set[int], ...]:
        return self.minute, self.hour, self.day_of_week, self.day_of_month, self.month_of_year

    def __repr__(self) -> str:
        texts = (
            self._orig_minute,
            self._orig_hour,
            self._orig_day_of_month,
            self._orig_month_of_year,
            self._orig_day_of_week,
        )
        return f"<crontab: {' '.join(_shown(text) for text in texts)} (m/h/dM/MY/d)>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self._orig_minute,
            self._orig_hour,
            self._orig_day_of_week,
            self._orig_day_of_month,
            self._orig_month_of_year,
        )


def _kept(field: Any) -> Any:
    """Return a field as it is to be kept: an iterator can be read once only."""
    return field if isinstance(field, int | str) or not isinstance(field, Iterable) else tuple(field)


def _shown(field: Any) -> str:
    return ",".join(str(item) for item in field) if isinstance(field, tuple) else str(field).replace(" ", "")
