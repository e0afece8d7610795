"""Schedules: the base class, and the one that runs every so often."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from umbel.calling.times import zone
from umbel.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["BaseSchedule", "maybe_schedule", "schedstate", "schedule"]


class schedstate(NamedTuple):
    """What :meth:`BaseSchedule.is_due` answers: whether to run now, and in how many seconds to look again."""

    is_due: bool
    next: float


class BaseSchedule(ABC):
    """Says when something runs again. *nowfun* returns the time; *app* gives the time zone and, by itself, the time.

    To be subclassed: an object with :meth:`is_due` is a schedule. Times without a zone are the application's.
    """

    _own_tz: dt.tzinfo | None = None

    def __init__(self, nowfun: Callable[[], dt.datetime] | None = None, app: Umbel | None = None) -> None:
        self.nowfun = nowfun
        self.app = app

    @abstractmethod
    def remaining_estimate(self, last_run_at: dt.datetime) -> dt.timedelta:
        """Return how long it is until the run after *last_run_at*; negative when it is over."""

    @abstractmethod
    def is_due(self, last_run_at: dt.datetime) -> schedstate:
        """Say whether it is time to run again, and when to look next."""

    @property
    def tz(self) -> dt.tzinfo:
        """The zone in which the clock is read: the application's, unless a subclass sets another, also before its
        ``super().__init__()``.
        """
        if self._own_tz is not None:
            return self._own_tz
        return zone(None) if self.app is None else self.app.timezone

    @tz.setter
    def tz(self, value: dt.tzinfo) -> None:
        self._own_tz = value

    def now(self) -> dt.datetime:
        """Return the time, in :attr:`tz`."""
        return self.maybe_make_aware(self.nowfun() if self.nowfun is not None else dt.datetime.now(self.tz))

    def maybe_make_aware(self, when: dt.datetime, naive_as_utc: bool = True) -> dt.datetime:
        """Return *when* in :attr:`tz`; a time without a zone is in the application's."""
        if when.tzinfo is None:
            when = when.replace(tzinfo=dt.UTC if self.app is None else self.app.naive_zone)
        return when.astimezone(self.tz)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__reduce__()[1] == other.__reduce__()[1]

    def __hash__(self) -> int:
        return hash(repr(self))


class schedule(BaseSchedule):
    """Runs every *run_every* (seconds or a timedelta).

    With *relative* the runs fall on whole units of the clock: every two hours is on the hour. Raises
    :class:`~umbel.exceptions.ImproperlyConfigured` for an interval that is not above zero.
    """

    def __init__(
        self,
        run_every: float | dt.timedelta | None = None,
        relative: bool = False,
        nowfun: Callable[[], dt.datetime] | None = None,
        app: Umbel | None = None,
    ) -> None:
        super().__init__(nowfun, app)
        if isinstance(run_every, int | float) and not isinstance(run_every, bool):
            run_every = dt.timedelta(seconds=run_every)
        if not isinstance(run_every, dt.timedelta) or run_every <= dt.timedelta(0):
            raise ImproperlyConfigured(
                f"expected an interval to be seconds or a timedelta above zero, got {run_every!r}; write schedule(30) "
                f"for every half minute"
            )
        self.run_every = run_every
        self.relative = relative

    @property
    def seconds(self) -> int:
        """The interval in whole seconds."""
        return max(int(self.run_every.total_seconds()), 0)

    @property
    def human_seconds(self) -> str:
        """The interval for people: ``2.00 hours``."""
        left = self.run_every.total_seconds()
        for size, unit in ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
            if left >= size:
                return f"{left / size:.2f} {unit}{'' if left == size else 's'}"
        return f"{left:.2f} seconds"

    def remaining_estimate(self, last_run_at: dt.datetime) -> dt.timedelta:
        last = self.maybe_make_aware(last_run_at)
        due = last + self.run_every
        if self.relative:
            due = _rounded(due, self.run_every)
        return due - self.now()

    def is_due(self, last_run_at: dt.datetime) -> schedstate:
        left_s = self.remaining_estimate(last_run_at).total_seconds()
        if left_s <= 0:
            return schedstate(True, self.run_every.total_seconds())
        # A clock that was set back must not make a run wait for longer than the interval.
        return schedstate(False, min(left_s, self.run_every.total_seconds()))

    def __repr__(self) -> str:
        return f"<freq: {self.human_seconds}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.run_every, self.relative)


def _rounded(when: dt.datetime, interval: dt.timedelta) -> dt.datetime:
    """Return *when* on the last whole unit (second, minute, hour, day) that *interval* has."""
    if interval >= dt.timedelta(days=1):
        return when.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval >= dt.timedelta(hours=1):
        return when.replace(minute=0, second=0, microsecond=0)
    return when.replace(second=0, microsecond=0) if interval >= dt.timedelta(minutes=1) else when.replace(microsecond=0)


def maybe_schedule(s: Any, relative: bool = False, app: Umbel | None = None) -> Any:
    """Return seconds and timedeltas as a :class:`schedule`, anything else as it is, with *app* where it has none."""
    if isinstance(s, int | float | dt.timedelta) and not isinstance(s, bool):
        return schedule(s, relative, app=app)
    if isinstance(s, BaseSchedule) and s.app is None:
        s.app = app
    return s
