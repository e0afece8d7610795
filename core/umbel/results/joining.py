"""The rule that a task does not wait for another one, and the ways around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from umbel.context import top_frame

__all__ = ["allow_join_result", "assert_may_wait", "denied_join_result"]

#: ``None``: it depends on whether a worker runs this code.
_allowed: ContextVar[bool | None] = ContextVar("umbel_join_allowed", default=None)


@contextmanager
def allow_join_result() -> Iterator[None]:
    """Let code in this block wait for results even inside a task. A pool full of waiting tasks never ends."""
    token = _allowed.set(True)
    try:
        yield
    finally:
        _allowed.reset(token)


@contextmanager
def denied_join_result() -> Iterator[None]:
    """Refuse to wait for results in this block, inside a task or not."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)


def assert_may_wait() -> None:
    """Raise ``RuntimeError`` where waiting for a task can block every worker: inside a task that a worker runs."""
    allowed = _allowed.get()
    if allowed is None:
        frame = top_frame()
        allowed = frame is None or frame.request.outbox is None
    if not allowed:
        raise RuntimeError(
            "result.get() was called inside a task: a pool full of tasks that wait for others never ends. Use link=, a "
            "chain or a chord; or get(disable_sync_subtasks=False) where you know better"
        )
