"""Waiting by push: one subscribed connection a process, shared by every thread that waits.

There is no thread of its own: of the threads that wait, one reads the connection and tells the others (leader and
followers), so that a lone waiter is woken by the socket itself.

The connection speaks RESP3 where it can: there a subscriber may ask questions too, so that subscribing and looking at the
store are one write and one answer, and need no confirmation in between. (A message to a process, and with it a wake-up,
costs more than what is done with it.)
"""

from __future__ import annotations

import collections
import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from umbel.exceptions import BackendError
from umbel_library_redis import Wire, errors

__all__ = ["Channels", "Waiter"]

#: So many subscriptions that nobody needs any more are kept until the next write takes their end along.
_MOST_STALE: Final = 16


class Waiter:
    """One call that waits for any of its channels. ``rang`` says that one of them had a message, ``last`` what it said.

    ``answer`` is what was answered to its question, ``lost`` that nothing more will come.
    """

    def __init__(self, channels: Sequence[bytes]) -> None:
        self.channels = channels
        self.unconfirmed = len(channels)
        self.has_asked = False
        self.rang = False
        self.last = b""
        self.answer: list[Any] | None = None
        self.lost = False
        self.event = threading.Event()

    @property
    def is_in(self) -> bool:
        """Whether every channel is subscribed to, and its question answered if it could be asked."""
        return self.answer is not None if self.has_asked else self.unconfirmed <= 0


class Channels:
    """The subscriptions of this process. Thread-safe."""

    def __init__(self, connect: Callable[[], Wire], masked: str) -> None:
        self._connect = connect
        self._masked = masked
        self._connection: Wire | None = None
        #: Whether the connection takes questions beside subscriptions.
        self._takes_questions = False
        self._asked: collections.deque[Waiter] = collections.deque()
        self._lock = threading.RLock()
        self._reading = threading.Lock()
        self._waiters: dict[bytes, set[Waiter]] = {}
        self._confirmed: set[bytes] = set()
        self._stale: set[bytes] = set()
        self._bell_out, self._bell_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.closed = False

    def join(self, channels: Sequence[bytes], question: Sequence[Any] | None) -> Waiter:
        """Subscribe to *channels*, and ask *question* after that where the connection takes questions.

        :meth:`wait` for ``is_in`` before anything else: then ``answer`` is there, or the store may be looked at.
        """
        waiter = Waiter(channels)
        with self._lock:
            connection = self._connected()
            new = []
            for channel in channels:
                waiters = self._waiters.setdefault(channel, set())
                if channel in self._stale:
                    self._stale.discard(channel)
                elif not waiters:
                    new.append(channel)
                waiters.add(waiter)
            waiter.unconfirmed = sum(channel not in self._confirmed for channel in channels)
            commands = self._farewell() if new else []
            if new:
                commands.append(("SUBSCRIBE", *new))
            if self._takes_questions and question is not None:
                commands.append(question)
                waiter.has_asked = True
                self._asked.append(waiter)
            self._send(connection, commands)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Let go of what nobody else waits for; the server hears of it with the next subscription, or of many at once."""
        with self._lock:
            for channel in waiter.channels:
                waiters = self._waiters.get(channel)
                if waiters is not None:
                    waiters.discard(waiter)
                    if not waiters:
                        del self._waiters[channel]
                        self._stale.add(channel)
            if len(self._stale) > _MOST_STALE and self._connection is not None:
                with contextlib.suppress(BackendError):  # a lost connection has no subscriptions left to end
                    self._send(self._connection, self._farewell())

    def _farewell(self) -> list[Sequence[Any]]:
        """Return the command that ends the subscriptions nobody needs."""
        stale, self._stale = self._stale, set()
        self._confirmed -= stale
        return [("UNSUBSCRIBE", *stale)] if stale else []

    def wait(self, waiter: Waiter, done: Callable[[], bool], deadline: float) -> bool:
        """Block until *done* says so (looked at after each message) or the deadline; say which."""
        while not done():
            left = deadline - time.monotonic()
            if left <= 0 or self.closed:
                return False
            if waiter.lost:
                raise self._failure(ConnectionError("the subscription was lost"))
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

    def _connected(self) -> Wire:
        if self._connection is None:
            try:
                self._connection = connection = self._connect()
                self._takes_questions = _speaks_resp3(connection)
            except (errors.RedisError, OSError) as error:
                self._lost()
                raise self._failure(error) from error
        return self._connection

    def _send(self, connection: Wire, commands: Sequence[Sequence[Any]]) -> None:
        try:
            if commands:
                connection.send(commands)
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
        if self._takes_questions and not _is_push(message):
            waiter = self._asked.popleft()
            waiter.answer = message
            waiter.event.set()
            return
        kind, channel = message[0], message[1]
        with self._lock:
            waiters = self._waiters.get(channel, ())
            if kind == b"subscribe" and (waiters or channel in self._stale):
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
            waiters = {waiter for waiters in self._waiters.values() for waiter in waiters}.union(self._asked)
            self._waiters.clear()
            self._asked.clear()
            self._confirmed.clear()
            self._stale.clear()
        for waiter in waiters:
            waiter.lost = True
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


def _speaks_resp3(connection: Wire) -> bool:
    """Have the connection speak RESP3 from now on, if server and driver can."""
    if not connection.tells_pushes_apart:
        return False
    try:
        connection.call("HELLO", 3)
    except errors.ResponseError:  # a proxy, an ACL
        return False
    return True


def _is_push(message: Any) -> bool:
    return isinstance(message, Wire.PUSH)
