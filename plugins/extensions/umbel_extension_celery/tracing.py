"""``celery.app.trace``: the place where tracers of third parties hang themselves around a task's run.

They replace ``celery.app.trace.build_tracer`` by a function that wraps what the original returns. So the function is
looked up in that module when a task is about to run for the first time, and what it returns is called for every run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from umbel import Task
from umbel_extension_celery.installing import is_installed

__all__ = ["build_tracer", "surround", "task_has_custom"]

_run: Final[ContextVar[Callable[[], bytes] | None]] = ContextVar("umbel_celery_run", default=None)


def task_has_custom(task: Any, attr: str) -> bool:
    """Say whether *task* has an *attr* of its own, and not the one of the base class."""
    own = getattr(type(task), attr, None)
    return own is not None and own is not getattr(Task, attr, None)


def build_tracer(
    name: str, task: Any, loader: Any = None, hostname: str | None = None, store_errors: bool = True, **_: Any
) -> Callable[..., Any]:
    """Return ``trace(uuid, args, kwargs, request)``, which runs the call that the worker has prepared.

    What it answers is for the worker alone. Called outside of a worker's run, ``trace`` raises ``RuntimeError``.
    """

    def trace(uuid: str, args: Any, kwargs: Any, request: Any = None) -> Any:
        run = _run.get()
        if run is None:
            raise RuntimeError(
                f"the tracer of task {name!r} was called outside of a worker; use task.apply() to run a task here"
            )
        return run()

    return trace


def surround(app: Any, task: Any) -> Callable[[Any, Callable[[], bytes]], bytes] | None:
    """Return what stands around the runs of *task*: ``None`` while nothing has replaced :func:`build_tracer`."""
    module = sys.modules.get("celery.app.trace")
    if module is None or not is_installed() or module.build_tracer is build_tracer:
        return None
    traced = module.build_tracer(task.name, task, getattr(app, "loader", None), None, app=app)

    def surrounding(request: Any, run: Callable[[], bytes]) -> bytes:
        token = _run.set(run)
        try:
            outcome: bytes = traced(request.id, request.args, request.kwargs, request)
        finally:
            _run.reset(token)
        return outcome

    return surrounding
