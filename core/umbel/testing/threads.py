"""Runs functions in threads for a test, with a deadline, and shows their errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["in_thread", "in_threads", "until"]

_T = TypeVar("_T")


def in_thread(function: Callable[..., _T], *args: Any) -> Future[_T]:
    """Start ``function(*args)`` in a daemon thread of its own; the future has its result or its error."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(function(*args))
        except BaseException as error:  # shown by future.result() in the test
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def in_threads(functions: Sequence[Callable[[], _T]], timeout_s: float = 30.0) -> list[_T]:
    """Run *functions* at once, each in a thread; return their results, or raise the first error."""
    gate = threading.Barrier(len(functions))

    def start(function: Callable[[], _T]) -> _T:
        gate.wait(timeout_s)
        return function()

    deadline = time.monotonic() + timeout_s
    futures = [in_thread(start, function) for function in functions]
    return [future.result(max(0.0, deadline - time.monotonic())) for future in futures]


def until(condition: Callable[[], _T], timeout_s: float = 10.0, pause_s: float = 0.01) -> _T:
    """Return the first true answer of *condition*, asked again and again for at most *timeout_s*."""
    deadline = time.monotonic() + timeout_s
    waiter = threading.Event()
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"expected {condition!r} to become true within {timeout_s} s, last answer {answer!r}")
        waiter.wait(pause_s)
    return answer
