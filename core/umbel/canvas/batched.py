"""One task for many items: in one call (``xmap``, ``xstarmap``), or in a group of calls of some items each (``chunks``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from umbel.canvas.composed import group
from umbel.canvas.signature import Signature

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["chunks", "xmap", "xstarmap"]

_Group = group  # inside of chunks the name is that of a method, as in Celery


class xmap(Signature):
    """A call that runs a task for each item of a list and returns the list of values: ``task.map(items)``."""

    runner: ClassVar[str] = "celery.map"

    def __init__(self, task: Mapping[str, Any], it: Iterable[Any], app: Umbel | None = None, **options: Any) -> None:
        # Immutable: it has its items, and the result of a step before it is none of them.
        super().__init__(self.runner, (), {"task": task, "it": list(it)}, options, app=app, immutable=True)

    def __repr__(self) -> str:
        return f"[{self.kwargs['task']['task']}(x) for x in {self.kwargs['it']!r}]"

    __str__ = __repr__


class xstarmap(xmap):
    """Like :class:`xmap`; each item is a list of arguments: ``task.starmap(items)``."""

    runner: ClassVar[str] = "celery.starmap"

    def __repr__(self) -> str:
        return f"[{self.kwargs['task']['task']}(*x) for x in {self.kwargs['it']!r}]"

    __str__ = __repr__


class chunks(group):
    """A group of calls, each of which runs a task for *n* items: ``task.chunks(items, n)``.

    Its result is a list of lists.
    """

    def __init__(
        self,
        task: Mapping[str, Any],
        it: Iterable[Sequence[Any]],
        n: int,
        app: Umbel | None = None,
        **options: Any,
    ) -> None:
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"chunks: expected at least 1 item a call, got {n!r}")
        rows = list(it)
        parts = (rows[at : at + n] for at in range(0, len(rows), n))
        super().__init__([xstarmap(task, part, app=app) for part in parts], app=app, **options)

    def group(self) -> _Group:
        """Return it as a plain group."""
        return _Group(self.tasks, app=self._app, **self.options)
