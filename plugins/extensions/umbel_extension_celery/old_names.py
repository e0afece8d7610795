"""Names that Celery had before version 3.1."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from umbel import shared_task
from umbel_extension_celery.current import connect_on_app_finalize, current_app
from umbel_extension_celery.tasks import Task

__all__ = ["PeriodicTask", "apply", "apply_async", "delay_task", "periodic_task", "send_task"]


def apply(task: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
    """Run *task* here and now."""
    return task.apply(args, kwargs, **options)


def apply_async(task: Any, *args: Any, **options: Any) -> Any:
    """Call *task* elsewhere."""
    return task.apply_async(*args, **options)


def delay_task(task_name: str, *args: Any, **kwargs: Any) -> Any:
    """Call the task of a name, with these arguments."""
    return current_app.send_task(task_name, args, kwargs)


def send_task(*args: Any, **kwargs: Any) -> Any:
    """Call a task by its name."""
    return current_app.send_task(*args, **kwargs)


class PeriodicTask(Task):
    """A task that is called by its own ``run_every`` (seconds, a timedelta, or a schedule)."""

    abstract: ClassVar[bool] = True
    run_every: Any = None

    def on_bound(self, app: Any) -> None:
        """Enter the task into the schedule."""
        every = self.run_every
        seconds = every.total_seconds() if isinstance(every, dt.timedelta) else every
        if seconds is not None:
            app.conf.beat_schedule = {
                **app.conf.beat_schedule,
                self.name: {"task": self.name, "schedule": seconds, "args": (), "kwargs": {}, "options": {}},
            }


def periodic_task(*args: Any, run_every: Any = None, **options: Any) -> Callable[..., Any]:
    """Make a function a task that is called every *run_every*."""

    def decorate(fun: Callable[..., Any]) -> Any:
        task = shared_task(**options)(fun)
        connect_on_app_finalize(lambda app: app.add_periodic_task(run_every, task.s()))
        return task

    return decorate(args[0]) if args else decorate
