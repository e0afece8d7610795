"""Open transports of this process, lent to one thread at a time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from umbel.exceptions import OperationalError
from umbel.model import Queue

if TYPE_CHECKING:
    from umbel.spi import Transport

__all__ = ["TransportPool"]


class TransportPool:
    """Keeps up to *limit* open transports (0 or ``None``: keeps none, opens one for each use). Thread-safe.

    It belongs to the process that made it: a child drops it unclosed and makes its own. *open_transport* takes seconds.
    """

    def __init__(self, open_transport: Callable[[float], Transport], limit: int | None) -> None:
        self._open = open_transport
        self._idle: deque[Transport] = deque()
        self._keeps = bool(limit)
        self._slots = threading.BoundedSemaphore(limit) if limit else None
        #: Names of queues declared in this process, so that each is declared once (B1090).
        self._declared: set[str] = set()

    def acquire(self, deadline: float) -> Transport:
        """Lend an open transport, the last used first; wait for one to come back, or to open, until *deadline*
        (``time.monotonic``). Raises :class:`~umbel.exceptions.OperationalError` when none comes in time.
        """
        slots = self._slots
        if slots is not None and not (slots.acquire(blocking=False) or slots.acquire(timeout=_left_s(deadline))):
            raise OperationalError(
                "every pooled broker connection was in use until the deadline: raise broker_pool_limit, or the "
                "timeout of the call"
            )
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return self._open(_left_s(deadline))
        except BaseException:
            if slots is not None:
                slots.release()
            raise

    def release(self, transport: Transport) -> None:
        """Take back a transport that works."""
        if self._keeps:
            self._idle.append(transport)
        else:
            transport.close()
        if self._slots is not None:
            self._slots.release()

    def discard(self, transport: Transport) -> None:
        """Take back a transport whose connection is lost, with all idle ones: their broker may be gone too."""
        self._declared.clear()
        close_quietly(transport)
        self._close_idle()
        if self._slots is not None:
            self._slots.release()

    def declare(self, transport: Transport, queues: Sequence[Queue]) -> None:
        """Declare those of *queues* that this process has not declared yet."""
        missing = {queue.name: queue for queue in queues if queue.name not in self._declared}
        if missing:
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
        while self._idle:
            try:
                close_quietly(self._idle.pop())
            except IndexError:  # another thread took the last one
                return


def _left_s(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def close_quietly(transport: Transport) -> None:
    """Close *transport*; that it cannot say goodbye to a broker that is gone is tolerated."""
    try:
        transport.close()
    except (OperationalError, OSError):
        return
