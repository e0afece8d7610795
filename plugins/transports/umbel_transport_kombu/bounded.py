"""A thread of one's own for a library that knows no deadlines: who calls waits as long as he wants, and no longer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["Bounded"]

_Result = TypeVar("_Result")


class Bounded:
    """Runs calls one after another in a thread of its own. A call that is given up leaves it stuck, for good."""

    def __init__(self, name: str) -> None:
        self.is_stuck = False
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        # A daemon: a broker that never answers must not keep the process.
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def call(self, work: Callable[[], _Result], timeout_s: float) -> _Result:
        """Return what *work* returns, or raise what it raises; ``TimeoutError`` after *timeout_s*."""
        if self.is_stuck:
            raise TimeoutError("an earlier call was not answered")
        future: Future[_Result] = Future()
        self._calls.put((future, work))
        try:
            return future.result(timeout_s)
        except TimeoutError:
            self.is_stuck = not future.done()
            raise TimeoutError(f"no answer within {timeout_s:g} s") from None

    def close(self) -> None:
        """End the thread once it has nothing left to do."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, work = call
            try:
                future.set_result(work())
            except BaseException as error:  # the caller's, whatever it is
                future.set_exception(error)
            del call, future, work
