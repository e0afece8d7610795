"""Names that programs written for earlier versions of Celery use."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from umbel.canvas.composed import group
from umbel.canvas.signature import maybe_signature, signature
from umbel.results import GroupResult

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["TaskSet", "TaskSetResult", "maybe_subtask", "subtask"]

subtask = signature
maybe_subtask = maybe_signature
TaskSetResult = GroupResult


class TaskSet(group):
    """The old name of :class:`umbel.group` (B523): ``TaskSet(tasks=[add.subtask((2, 2)), ...]).apply_async()``."""

    def __init__(self, tasks: Iterable[Mapping[str, Any]] = (), app: Umbel | None = None, **options: Any) -> None:
        warnings.warn("TaskSet is the old name of group: use umbel.group(tasks)", DeprecationWarning, stacklevel=2)
        options.pop("Publisher", None)
        super().__init__(list(tasks), app=app, **options)

    @property
    def total(self) -> int:
        """The number of calls."""
        return len(self)

    @property
    def task_name(self) -> str | None:
        """The name of the first call's task."""
        tasks = self.tasks
        return tasks[0].task if tasks else None

    def apply(self, args: Any = None, kwargs: Any = None, taskset_id: str | None = None, **options: Any) -> Any:
        """Run all calls here and now (B524)."""
        return super().apply(args, kwargs, **{**options, **({"task_id": taskset_id} if taskset_id else {})})

    def apply_async(
        self,
        args: Any = None,
        kwargs: Any = None,
        taskset_id: str | None = None,
        connect_timeout: float | None = None,
        publisher: Any = None,
        **options: Any,
    ) -> Any:
        """Send all calls; return their results as one (B525)."""
        named = {"task_id": taskset_id, "connect_timeout": connect_timeout, "publisher": publisher}
        options.update({name: value for name, value in named.items() if value is not None})
        return super().apply_async(args, kwargs, **options)
