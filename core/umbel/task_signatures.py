"""Calls of a task that are not made yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from umbel.canvas.signature import Signature, signature_of_call
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
        return signature_of_call(self.name, args, kwargs, self.app)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """Like :meth:`s`, but it takes no further arguments: not the result of the step before."""
        return signature_of_call(self.name, args, kwargs, self.app, immutable=True)
