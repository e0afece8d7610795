"""Celery's entry of a schedule, which projects and packages subclass."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from umbel.schedules import maybe_schedule
from umbel_extension_celery.current import get_current_app

__all__ = ["ScheduleEntry"]


class ScheduleEntry:
    """What is sent again and again. ``next(entry)`` is the same entry after one more run."""

    name: str | None = None
    schedule: Any = None
    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None
    options: Mapping[str, Any] | None = None
    last_run_at: dt.datetime | None = None
    total_run_count = 0

    def __init__(
        self,
        name: str | None = None,
        task: str | None = None,
        last_run_at: dt.datetime | None = None,
        total_run_count: int | None = None,
        schedule: Any = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        relative: bool = False,
        app: Any = None,
    ) -> None:
        self.app = app
        self.name = name
        self.task = task
        self.args = args
        self.kwargs = kwargs or {}
        self.options = options or {}
        self.schedule = maybe_schedule(schedule, relative, app=app or get_current_app())
        self.last_run_at = last_run_at or self.default_now()
        self.total_run_count = total_run_count or 0

    def default_now(self) -> dt.datetime:
        """Return the time, as the schedule tells it."""
        found: dt.datetime = self.schedule.now() if self.schedule is not None else get_current_app().now()
        return found

    _default_now = default_now

    def _next_instance(self, last_run_at: dt.datetime | None = None) -> ScheduleEntry:
        changed = {
            **dict(self),
            "last_run_at": last_run_at or self.default_now(),
            "total_run_count": self.total_run_count + 1,
        }
        return type(self)(**changed)

    __next__ = next = _next_instance

    def update(self, other: ScheduleEntry) -> None:
        """Take over what may be changed: task, schedule, arguments and options."""
        self.task, self.schedule = other.task, other.schedule
        self.args, self.kwargs, self.options = other.args, other.kwargs, other.options

    def is_due(self) -> Any:
        """Return (whether it is due, in how many seconds to look again)."""
        return self.schedule.is_due(self.last_run_at)

    def editable_fields_equal(self, other: ScheduleEntry) -> bool:
        """Say whether what may be changed is the same."""
        return (self.task, self.args, self.kwargs, self.options, self.schedule) == (
            other.task,
            other.args,
            other.kwargs,
            other.options,
            other.schedule,
        )

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(vars(self).items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScheduleEntry) and self.editable_fields_equal(other)

    __hash__ = object.__hash__

    def __lt__(self, other: ScheduleEntry) -> bool:
        return id(self) < id(other)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name} {self.task}(*{self.args!r}, **{self.kwargs!r}) {self.schedule}>"

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.name, self.task, self.last_run_at, self.total_run_count, self.schedule, self.args, self.kwargs)
        return type(self), (*fields, self.options)
