"""A result and the calls that its task made, theirs, and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from umbel import exceptions

if TYPE_CHECKING:
    from umbel.results.graphs import ResultGraph
    from umbel.results.sets import Member

__all__ = ["ResultTree"]


class ResultTree:
    """The descendants of a result: what its ``children`` lead to."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def children(self) -> list[Member] | None: ...

        def ready(self) -> bool: ...

        get: Callable[..., Any]

    def iterdeps(self, intermediate: bool = False) -> Iterator[tuple[Any, Any]]:
        """Yield (parent, result) for this result and all its descendants, breadth first."""
        waiting: list[tuple[Any, Any]] = [(None, self)]
        while waiting:
            parent, node = waiting.pop(0)
            yield parent, node
            if node.ready():
                waiting.extend((node, child) for child in node.children or ())
            elif not intermediate:
                raise exceptions.IncompleteStream(f"result {node} is not ready; intermediate=True goes on without it")

    def collect(
        self, intermediate: bool = False, *, timeout: float | None = None, propagate: bool = True, **options: Any
    ) -> Iterator[tuple[Any, Any]]:
        """Wait, and yield (result, value) for this result and all its descendants."""
        self.get(timeout=timeout, propagate=propagate, **options)
        for _, node in self.iterdeps(intermediate=intermediate):
            yield node, node.get(timeout=timeout, propagate=propagate, **options)

    def get_leaf(self) -> Any:
        """Return the value of the last descendant."""
        value = None
        for _, node in self.iterdeps():
            value = node.get()
        return value

    def build_graph(self, intermediate: bool = False, formatter: Any = None) -> ResultGraph:
        """Return the workflow below this result as a graph, with the states of now.

        Raises :class:`~umbel.exceptions.IncompleteStream` where a task has not ended, and so may make more calls,
        unless *intermediate* is on. *formatter* is of Celery's drawing, and ignored.
        """
        from umbel.results.graphs import build_graph  # for start-up: only who draws needs it

        return build_graph(self, intermediate=intermediate)  # type: ignore[arg-type]  # mixed into AsyncResult alone

    @property
    def graph(self) -> ResultGraph:
        """The workflow below this result as far as it is known by now: ``str(result.graph)`` is a tree for people."""
        return self.build_graph(intermediate=True)
