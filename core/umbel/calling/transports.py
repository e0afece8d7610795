"""Open transports of this process, lent to one thread at a time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from umbel.exceptions import OperationalError

if TYPE_CHECKING:
    from umbel.model import Queue
    from umbel.spi import Transport

__all__ = ["TransportPool", "close_quietly"]


class TransportPool:
    """Keeps up to *limit* open transports (0 or ``None``: keeps none, opens one for each use). Thread-safe.

    It belongs to the process that made it: a child drops it unclosed and makes its own. *open_transport* takes seconds.
    """

    def __init__(self, open_transport: Callable[[float], Transport], limit: int | None) -> None:
        self._open = open_transport
        self._limit = limit or 0
        #: Taking from and giving to a deque is atomic: the usual call needs no lock.
        self._idle: deque[Transport] = deque()
        self._count = 0
        self._waiting = 0
        self._change = threading.Condition()
        #: Names of queues declared in this process, so that each is declared once (B1090).
        self._declared: set[str] = set()

    def acquire(self, deadline: float) -> Transport:
        """Lend an open transport, the last used first; wait for one to come back, or to open, until *deadline*
        (``time.monotonic``). Raises :class:`~umbel.exceptions.OperationalError` when none comes in time.
        """
        try:
            return self._idle.pop()
        except IndexError:
            pass
        if not self._limit:
            return self._open(_left_s(deadline))
        found = self._wait_for_place(deadline)
        if found is not None:
            return found
        try:
            return self._open(_left_s(deadline))
        except BaseException:
            self._leave()
            raise

    def _wait_for_place(self, deadline: float) -> Transport | None:
        """Return a transport that came back, or ``None`` when one more may be opened."""
        with self._change:
            self._waiting += 1  # before the look: who gives back after it sees that somebody waits
            try:
                while True:
                    if self._idle:
                        return self._idle.pop()
                    if self._count < self._limit:
                        self._count += 1
                        return None
                    if not self._change.wait(_left_s(deadline)) and time.monotonic() >= deadline:
                        raise OperationalError(
                            "every pooled broker connection was in use until the deadline: raise broker_pool_limit, or "
                            "the timeout of the call"
                        )
            finally:
                self._waiting -= 1

    def release(self, transport: Transport) -> None:
        """Take back a transport that works."""
        if not self._limit:
            transport.close()
            return
        self._idle.append(transport)
        if self._waiting:
            with self._change:
                self._change.notify()

    def discard(self, transport: Transport) -> None:
        """Take back a transport whose connection is lost, with all idle ones: their broker may be gone too."""
        self._declared.clear()
        close_quietly(transport)
        if self._limit:
            self._leave()
        self._close_idle()

    def _leave(self) -> None:
        with self._change:
            self._count -= 1
            self._change.notify()

    def declare(self, transport: Transport, queues: Sequence[Queue], deadline: float | None = None) -> None:
        """Declare those of *queues* that this process has not declared yet, until *deadline* (``time.monotonic``)."""
        missing = {queue.name: queue for queue in queues if queue.name not in self._declared}
        if missing:
            with contextlib.nullcontext() if deadline is None else transport.within(_left_s(deadline)):
                transport.declare(list(missing.values()))
            self._declared.update(missing)

    def is_declared(self, name: str) -> bool:
        """Say whether the queue *name* was declared already."""
        return name in self._declared

    def close(self) -> None:
        """Close what is idle. What is lent is closed by nobody: its user releases it into the pool."""
        self._declared.clear()
        self._close_idle()

    def _close_idle(self) -> None:
        while True:
            try:
                transport = self._idle.pop()
            except IndexError:
                return
            close_quietly(transport)
            self._leave()


def _left_s(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def close_quietly(transport: Transport) -> None:
    """Close *transport*; that it cannot say goodbye to a broker that is gone is tolerated."""
    try:
        transport.close()
    except (OperationalError, OSError):
        return
