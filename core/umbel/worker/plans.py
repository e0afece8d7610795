"""What is the same for every call of a task, read once: its function, handlers and options."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from umbel.task import Task

if TYPE_CHECKING:
    from umbel.context import Context

__all__ = ["TaskPlan"]

logger = logging.getLogger("umbel.worker.trace")


def _overridden(task: Task[..., Any], name: str) -> Callable[..., Any] | None:
    """Return the handler *name* of *task*, or ``None`` when it is the empty one of the base class."""
    handler: Callable[..., Any] = getattr(task, name)
    own = getattr(handler, "__func__", handler)
    return None if own is getattr(Task, name) else handler


class TaskPlan:
    """A task as the tracer sees it. *stores* says whether the application's result backend keeps anything."""

    __slots__ = (
        "after_return",
        "before_start",
        "enters",
        "entry",
        "has_epilogue",
        "has_own_backend",
        "has_prologue",
        "is_coroutine",
        "keeps",
        "keeps_errors",
        "logger",
        "name",
        "on_failure",
        "on_retry",
        "on_success",
        "resultrepr_maxsize",
        "surround",
        "task",
        "throws",
        "tracks_started",
    )

    def __init__(
        self,
        task: Task[..., Any],
        *,
        stores: bool,
        surround: Callable[[Context, Callable[[], bytes]], bytes] | None = None,
    ) -> None:
        self.task = task
        #: What an extension has put around each run; ``None`` on the fast path.
        self.surround = surround
        self.name = task.name
        #: Whether the task's ``run`` is called itself, and not through a ``__call__`` of its class.
        self.enters = type(task).__call__ is Task.__call__
        self.entry: Callable[..., Any] = task.run if self.enters else task
        self.is_coroutine: bool = task.is_coroutine
        self.before_start = _overridden(task, "before_start")
        self.on_success = _overridden(task, "on_success")
        self.on_failure = _overridden(task, "on_failure")
        self.on_retry = _overridden(task, "on_retry")
        self.after_return = _overridden(task, "after_return")
        self.has_own_backend = task.backend_url is not None
        stores = stores or self.has_own_backend
        self.keeps = stores and not task.ignore_result
        self.keeps_errors = stores and bool(task.store_errors_even_if_ignored)
        self.tracks_started = bool(task.track_started) and stores
        self.has_epilogue = self.after_return is not None or self.has_own_backend
        self.has_prologue = self.tracks_started or self.before_start is not None
        throws = task.throws
        self.throws: tuple[type[BaseException], ...] = (throws,) if isinstance(throws, type) else tuple(throws or ())
        self.resultrepr_maxsize: int = task.resultrepr_maxsize
        self.logger = logger

    def keeps_result(self, request: Context) -> bool:
        """Whether what this call returns is stored: neither the task nor the caller said otherwise."""
        return self.keeps and not request.ignore_result

    def keeps_failure(self, request: Context) -> bool:
        """Whether the failure of this call is stored."""
        return self.keeps_errors or (self.keeps and not request.ignore_result)
