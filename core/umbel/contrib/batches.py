"""Tasks that get many calls at once: they are collected, and run together when there are enough, or after a while.

::

    from umbel.contrib.batches import Batches, SimpleRequest

    @app.task(base=Batches, flush_every=100, flush_interval=10)
    def count_clicks(requests: list[SimpleRequest]) -> None:
        urls = collections.Counter(request.kwargs["url"] for request in requests)
        ...

    count_clicks.delay(url="https://example.org")

Each call keeps its own result, callbacks, place in a workflow and acknowledgement, which is given when the whole batch
has run. The worker holds what it collects: it belongs to the queue until then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import attrs

from umbel.context import Context
from umbel.task import Task

__all__ = ["Batches", "SimpleRequest", "ends_of"]

P = ParamSpec("P")
R = TypeVar("R")


@attrs.define(eq=False)
class SimpleRequest:
    """One call of a batch. What is given to :meth:`succeed` or :meth:`fail` is its end, whatever the batch returns."""

    id: str | None
    name: str | None
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    delivery_info: Mapping[str, Any] | None = None
    hostname: str | None = None
    ignore_result: bool = False
    reply_to: str | None = None
    correlation_id: str | None = None
    #: All headers of its message.
    request_dict: Mapping[str, Any] | None = None
    _end: tuple[bool, Any] | None = attrs.field(default=None, init=False)

    @classmethod
    def of(cls, request: Context) -> SimpleRequest:
        """Return the call that *request* is of."""
        return cls(
            request.id,
            request.task,
            request.args or (),
            request.kwargs or {},
            request.delivery_info,
            request.hostname,
            bool(request.ignore_result),
            request.reply_to,
            request.correlation_id,
            request.headers,
        )

    def succeed(self, result: Any = None) -> None:
        """Let this call have *result*."""
        self._end = (True, result)

    def fail(self, error: BaseException) -> None:
        """Let this call fail with *error*."""
        self._end = (False, error)

    @property
    def end(self) -> tuple[bool, Any] | None:
        """(whether it succeeded, result or exception), when that was said."""
        return self._end


class Batches(Task[P, R]):
    """The base of tasks that take a list of :class:`SimpleRequest`: ``@app.task(base=Batches, flush_every=100)``.

    A batch is run when *flush_every* calls are together, and at the latest *flush_interval* seconds after the first came.
    A list or tuple with as many values as calls is taken for their results, in order (an exception among them is a
    failure); anything else that is returned is the result of each, and what is raised the failure of each.
    """

    abstract = True
    typing = False  # calls have the arguments of one call, the function has them all
    flush_every: int = 10
    flush_interval: float = 30

    def value_here(self, request: Context, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the call *request* here and now, as a batch of its own; return its value, or raise its failure."""
        alone = SimpleRequest.of(request)
        ((succeeded, value),) = ends_of([alone], super().value_here(request, ([alone],), {}))
        if not succeeded:
            raise value
        return value


def ends_of(requests: Sequence[SimpleRequest], returned: Any) -> list[tuple[bool, Any]]:
    """Return how each of *requests* ended, (whether it succeeded, result or exception), when the batch *returned*."""
    is_each = isinstance(returned, list | tuple) and len(returned) == len(requests)
    values = returned if is_each else [returned] * len(requests)
    return [
        request.end or (not isinstance(value, BaseException), value)
        for request, value in zip(requests, values, strict=True)
    ]
