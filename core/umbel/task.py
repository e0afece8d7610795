"""Tasks: what ``@app.task`` makes of a function."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token
from typing import Any, Generic, ParamSpec, TypeVar

from umbel.context import Context, Frame

__all__ = ["Task"]

P = ParamSpec("P")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A function that can be called elsewhere, and its options. One object per application, name and process.

    What a worker reads (each falls back to its setting when the task does not set it): ``name``, ``ignore_result``,
    ``store_errors_even_if_ignored``, ``track_started``, ``acks_late``, ``acks_on_failure_or_timeout``,
    ``acks_on_failure``, ``acks_on_timeout``, ``reject_on_worker_lost``, ``retry_on_worker_lost``, ``rate_limit``,
    ``time_limit``, ``soft_time_limit``, ``max_retries``, ``throws``, ``trail``, ``send_events``, ``serializer``,
    ``resultrepr_maxsize``, ``is_coroutine``, ``backend_url`` (its own, or ``None``), ``after_return_overridden``.
    """

    name: str
    is_coroutine: bool
    after_return_overridden: bool

    @property
    def entry(self) -> Callable[..., Any]:
        """What a worker calls: ``run``, or ``__call__`` where the class overrides it. Push the request first."""
        raise NotImplementedError

    @property
    def request(self) -> Context:
        """The request of the running call of this task; an empty one outside of any call."""
        raise NotImplementedError

    def push_request(self, request: Context) -> Token[Frame | None]:
        """Begin a call; the answer goes to :meth:`pop_request`."""
        raise NotImplementedError

    def pop_request(self, token: Token[Frame | None]) -> None:
        """End the call that :meth:`push_request` began."""
        raise NotImplementedError
