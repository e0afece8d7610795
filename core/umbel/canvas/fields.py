"""What a signature holds, by the names of its keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["SignatureFields"]


class SignatureFields(dict[str, Any]):
    """A signature as a plain dict in the wire's form, its keys readable as attributes."""

    @property
    def task(self) -> str:
        """The name of the task."""
        return str(self["task"])

    name = task

    @property
    def args(self) -> Sequence[Any]:
        """The positional arguments so far."""
        args: Sequence[Any] = self["args"]
        return args

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments so far."""
        kwargs: dict[str, Any] = self["kwargs"]
        return kwargs

    @property
    def options(self) -> dict[str, Any]:
        """The options of the call."""
        options: dict[str, Any] = self["options"]
        return options

    @property
    def immutable(self) -> bool:
        """Whether it takes no further arguments, such as the result of the step before."""
        return bool(self["immutable"])

    @property
    def subtask_type(self) -> str | None:
        """``"chain"``, ``"group"``, ``"chord"`` ... or ``None`` for a single task."""
        kind: str | None = self["subtask_type"]
        return kind

    @property
    def id(self) -> str | None:
        """The id that it will be sent under, if that is fixed."""
        found: str | None = self.options.get("task_id")
        return found
