"""Daemon threads for functions that would block the loop. Unlike the standard executor's, they never hold up an exit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["DaemonThreads"]


class DaemonThreads:
    """Starts a thread when a call comes and none is idle. :meth:`run` is for the loop's thread alone."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._count = 0

    def run(self, call: Callable[[], None]) -> None:
        """Run *call*, which must not raise, in a thread; its caller bounds how many there are."""
        if not self._idle.acquire(blocking=False):
            self._count += 1
            threading.Thread(target=self._work, name=f"umbel-pool-{self._count}", daemon=True).start()
        self._calls.put(call)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            self._idle.release()

    def close(self) -> None:
        """Let each thread end when its call has."""
        for _ in range(self._count):
            self._calls.put(None)
