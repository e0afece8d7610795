"""Calls of a task that are not made yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from umbel.canvas.signature import Signature
from umbel.task_attributes import TaskAttributes

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["TaskSignatures"]


class TaskSignatures(TaskAttributes):
    """A task's name and application, and the signatures that they make."""

    app: Umbel = cast("Umbel", None)  # set when it is registered
    name: str = ""

    def signature(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Signature:
        """Return a call that is not made yet: to be sent later, passed on, or composed with others."""
        return Signature(self.name, args, kwargs, app=self.app, **options)

    subtask = signature

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """``signature(args, kwargs)``; further arguments go in front when it is called."""
        return Signature(self.name, args, kwargs, app=self.app)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """Like :meth:`s`, but it takes no further arguments: not the result of the step before."""
        return Signature(self.name, args, kwargs, app=self.app, immutable=True)

    def map(self, items: Iterable[Any]) -> Signature:
        """Return a call that runs this task for each of *items*, one after the other, in one go."""
        return self.app.signature("celery.map", kwargs={"task": self.s(), "it": list(items)})

    def starmap(self, items: Iterable[Sequence[Any]]) -> Signature:
        """Like :meth:`map`; each item is a list of arguments."""
        return self.app.signature("celery.starmap", kwargs={"task": self.s(), "it": list(items)})

    def chunks(self, items: Iterable[Sequence[Any]], n: int) -> Signature:
        """Return a group of calls, each of which runs *n* of *items* (lists of arguments)."""
        return self.app.workflows.chunked(self.s(), items, n)
