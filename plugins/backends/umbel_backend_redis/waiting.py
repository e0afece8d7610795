"""Waiting by push: one subscribed connection a process, shared by every thread that waits.

There is no thread of its own: of the threads that wait, one reads the connection and tells the others (leader and
followers), so that a lone waiter is woken by the socket itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from umbel.exceptions import BackendError
from umbel_library_redis import Wire, errors

__all__ = ["Channels", "Waiter"]


class Waiter:
    """One call that waits for any of its channels. ``rang`` says that one of them had a message, ``last`` what it said."""

    def __init__(self, channels: Sequence[bytes]) -> None:
        self.channels = channels
        self.unconfirmed = len(channels)
        self.rang = False
        self.last = b""
        self.event = threading.Event()


class Channels:
    """The subscriptions of this process. Thread-safe."""

    def __init__(self, connect: Callable[[], Wire], masked: str) -> None:
        self._connect = connect
        self._masked = masked
        self._connection: Wire | None = None
        self._lock = threading.RLock()
        self._reading = threading.Lock()
        self._waiters: dict[bytes, set[Waiter]] = {}
        self._confirmed: set[bytes] = set()
        self._bell_out, self._bell_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.closed = False

    def join(self, channels: Sequence[bytes]) -> Waiter:
        """Subscribe to *channels*; wait for ``unconfirmed`` to fall to 0 with :meth:`wait` before looking at the store."""
        waiter = Waiter(channels)
        with self._lock:
            new = []
            for channel in channels:
                waiters = self._waiters.setdefault(channel, set())
                if not waiters:
                    new.append(channel)
                waiters.add(waiter)
            waiter.unconfirmed = sum(channel not in self._confirmed for channel in channels)
            if new:
                self._send("SUBSCRIBE", new)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Unsubscribe from what nobody else waits for."""
        with self._lock:
            gone = []
            for channel in waiter.channels:
                waiters = self._waiters.get(channel)
                if waiters is not None:
                    waiters.discard(waiter)
                    if not waiters:
                        del self._waiters[channel]
                        self._confirmed.discard(channel)
                        gone.append(channel)
            if gone and self._connection is not None:
                with contextlib.suppress(BackendError):  # a lost connection has no subscriptions left to end
                    self._send("UNSUBSCRIBE", gone)

    def wait(self, waiter: Waiter, done: Callable[[], bool], deadline: float) -> bool:
        """Block until *done* says so (looked at after each message) or the deadline; say which."""
        while not done():
            left = deadline - time.monotonic()
            if left <= 0 or self.closed:
                return False
            if self._reading.acquire(blocking=False):
                try:
                    self._read(left)
                finally:
                    self._reading.release()
                    self._hand_over(waiter)
            else:
                waiter.event.wait(left)
                waiter.event.clear()
        return True

    def _hand_over(self, waiter: Waiter) -> None:
        """Wake a follower, who will read from now on."""
        with self._lock:
            for waiters in self._waiters.values():
                for other in waiters:
                    if other is not waiter:
                        other.event.set()
                        return

    def _send(self, command: str, channels: Sequence[bytes]) -> None:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.send([(command, *channels)])
        except (errors.RedisError, OSError) as error:
            self._lost()
            raise self._failure(error) from error

    def _read(self, timeout_s: float) -> None:
        connection = self._connection
        if connection is None:
            raise self._failure(ConnectionError("the subscription was lost"))
        try:
            ready, _, _ = select.select([connection.socket, self._bell_out], [], [], timeout_s)
            if self._bell_out in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._bell_out, 4096)
            if connection.socket in ready:
                self._dispatch(connection.read())
                while connection.has_input():
                    self._dispatch(connection.read())
        except (errors.RedisError, OSError, ValueError) as error:
            self._lost()
            raise self._failure(error) from error

    def _dispatch(self, message: Any) -> None:
        kind, channel = message[0], message[1]
        with self._lock:
            waiters = self._waiters.get(channel, ())
            if kind == b"subscribe" and waiters:
                if channel not in self._confirmed:
                    self._confirmed.add(channel)
                    for waiter in waiters:
                        waiter.unconfirmed -= 1
                        waiter.event.set()
            elif kind == b"message":
                for waiter in waiters:
                    waiter.last = message[2]
                    waiter.rang = True
                    waiter.event.set()

    def _lost(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            waiters = {waiter for waiters in self._waiters.values() for waiter in waiters}
            self._waiters.clear()
            self._confirmed.clear()
        for waiter in waiters:
            waiter.event.set()

    def _failure(self, error: Exception) -> BackendError:
        return BackendError(f"cannot wait at the Redis result store at {self._masked}: {error}")

    def close(self) -> None:
        """Disconnect, and make every waiter return."""
        if self.closed:
            return
        self.closed = True
        with contextlib.suppress(OSError):
            os.write(self._bell_in, b"!")
        with self._reading:
            self._lost()
        os.close(self._bell_in)
        os.close(self._bell_out)
