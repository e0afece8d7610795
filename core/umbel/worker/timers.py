"""Calls at a later time, in one thread that sleeps until the next deadline."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

import attrs

__all__ = ["Timer", "Timers"]

logger = logging.getLogger("umbel.worker.timers")


@attrs.define(eq=False)
class Timer:
    """A call that is to come; :meth:`cancel` makes it never come."""

    callback: Callable[[], None] | None
    interval_s: float | None = None

    def cancel(self) -> None:
        """Drop the call. It may be running already; a second cancel does nothing."""
        self.callback = None


class Timers:
    """A heap of deadlines and a thread that serves them. Thread-safe; stop and start may be repeated [B1029].

    Callbacks run in the timers' thread and should be quick; one that raises is logged [B1005].
    """

    def __init__(self, name: str = "umbel-timers") -> None:
        self._name = name
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def start(self) -> None:
        """Start the thread."""
        with self._changed:
            if self._thread is not None:
                return
            self._stopping = False
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread; what was not yet due is dropped. May be called again, and from a callback."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._stopping = True
            self._heap.clear()
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def call_after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call *callback* once, *delay_s* seconds from now (at once when that is not positive)."""
        timer = Timer(callback)
        self._push(time.monotonic() + max(0.0, delay_s), timer)
        return timer

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call *callback* once at *when*, Unix seconds."""
        return self.call_after(when - time.time(), callback)

    def call_every(self, interval_s: float, callback: Callable[[], None]) -> Timer:
        """Call *callback* every *interval_s* seconds, the first time after one interval."""
        timer = Timer(callback, interval_s)
        self._push(time.monotonic() + interval_s, timer)
        return timer

    def __len__(self) -> int:
        return len(self._heap)

    def _push(self, deadline: float, timer: Timer) -> None:
        with self._changed:
            heapq.heappush(self._heap, (deadline, next(self._order), timer))
            if self._heap[0][2] is timer:
                self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                now = time.monotonic()
                if not self._heap or self._heap[0][0] > now:
                    self._changed.wait(self._heap[0][0] - now if self._heap else None)
                    continue
                timer = heapq.heappop(self._heap)[2]
            self._fire(timer)

    def _fire(self, timer: Timer) -> None:
        callback = timer.callback
        if callback is None:
            return
        try:
            callback()
        except Exception:
            logger.exception("a timer's callback raised; the timers go on")
        if timer.interval_s is not None and timer.callback is not None:
            self._push(time.monotonic() + timer.interval_s, timer)
