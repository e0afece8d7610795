"""Waiting by push: one listening connection a process, shared by every thread that waits.

There is no thread of its own: of the threads that wait, one reads the connection and tells the others (leader and
followers), so that a lone waiter is woken by the socket itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterable

import psycopg

from umbel_library_postgres import Connection

__all__ = ["Bulletin", "Waiter"]


class Waiter:
    """One call that waits for any of its ids."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = frozenset(ids)
        self.rang = threading.Event()


class Bulletin:
    """What the server tells this process of final results. Thread-safe; made by *connect* when somebody waits first."""

    def __init__(self, connect: Callable[[], Connection], channel: str) -> None:
        self._connect = connect
        self._channel = channel
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._waiters: dict[str, set[Waiter]] = {}
        self._bell_out, self._bell_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._is_closed = False

    def join(self, waiter: Waiter) -> None:
        """Have *waiter* told from now on. Raises the driver's errors. Again after a loss of the connection."""
        with self._lock:
            if self._is_closed:
                return
            if self._connection is None:
                connection = self._connect()
                connection.execute(f"LISTEN {self._channel}".encode())
                self._connection = connection
            for task_id in waiter.ids:
                self._waiters.setdefault(task_id, set()).add(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Tell *waiter* no more."""
        with self._lock:
            for task_id in waiter.ids:
                waiters = self._waiters.get(task_id)
                if waiters is not None:
                    waiters.discard(waiter)
                    if not waiters:
                        del self._waiters[task_id]

    def wait(self, waiter: Waiter, timeout_s: float) -> None:
        """Block until *waiter* is told of one of its ids, the connection is lost, all is closed, or the time is over."""
        deadline = time.monotonic() + timeout_s
        while not waiter.rang.is_set() and not self._is_closed:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return
            if self._reading.acquire(blocking=False):
                try:
                    self._read(left_s)
                finally:
                    self._reading.release()
                    self._hand_over(waiter)
            elif waiter.rang.wait(left_s) and not self._is_closed:
                return
        waiter.rang.clear()

    def close(self) -> None:
        """Disconnect, and make every waiter return."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(OSError):
            os.write(self._bell_in, b"!")
        self._ring_all()
        with self._reading:
            self._lose()
        os.close(self._bell_in)
        os.close(self._bell_out)

    def _read(self, timeout_s: float) -> None:
        connection = self._connection
        if connection is None or self._is_closed:
            self._ring_all()
            return
        try:
            watch = select.poll()
            watch.register(connection.fileno(), select.POLLIN)
            watch.register(self._bell_out, select.POLLIN)
            if watch.poll(timeout_s * 1000):
                driver = connection.pgconn
                driver.consume_input()
                while notify := driver.notifies():
                    self._tell(notify.extra.decode())
        except (psycopg.Error, OSError, ValueError):
            self._lose()

    def _tell(self, payload: str) -> None:
        if not payload:
            self._ring_all()
            return
        with self._lock:
            for task_id in payload.split("\n"):
                for waiter in self._waiters.get(task_id, ()):
                    waiter.rang.set()

    def _hand_over(self, waiter: Waiter) -> None:
        """Wake a follower, who will read from now on (or find that there is nothing for him)."""
        with self._lock:
            for waiters in self._waiters.values():
                for other in waiters:
                    if other is not waiter:
                        other.rang.set()
                        return

    def _ring_all(self) -> None:
        with self._lock:
            for waiters in self._waiters.values():
                for waiter in waiters:
                    waiter.rang.set()

    def _lose(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._ring_all()
