"""The queue of replies of one process, shared by every thread that waits.

There is no thread of its own: of the threads that wait, one reads the connection and tells the others.
"""

from __future__ import annotations

import collections
import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from umbel.exceptions import BackendGetMetaError, OperationalError
from umbel.model import Delivery, Exchange, Message, Queue, Settlement, TaskMeta
from umbel.spi import Consumer, Transport

__all__ = ["Replies"]

#: Results that nobody fetched are kept up to this many, the oldest going first.
_MOST_KEPT: Final = 50_000
_BATCH: Final = 200
_UNUSED_EXPIRES_S: Final = 86400.0


class Replies:
    """Thread-safe. *open_transport* returns a new, open transport; *decode* the result in a message."""

    def __init__(
        self,
        open_transport: Callable[[], Transport],
        decode: Callable[[Message], TaskMeta | None],
        expires_s: float | None,
    ) -> None:
        noise = secrets.token_hex(16)
        self.address = "-".join((noise[:8], noise[8:12], noise[12:16], noise[16:20], noise[20:]))
        # Not deleted with its consumer, unlike Celery's: what comes in while a lost connection is made anew is kept.
        self._queue = Queue(
            name=self.address,
            exchange=Exchange(name=""),
            routing_key=self.address,
            no_ack=True,
            expires_s=expires_s or _UNUSED_EXPIRES_S,
        )
        self._open = open_transport
        self._decode = decode
        self._news = threading.Condition()
        self._is_reading = False
        self._is_closed = False
        self._kept: collections.OrderedDict[str, TaskMeta] = collections.OrderedDict()
        self._transport: Transport | None = None
        self._consumer: Consumer | None = None
        try:
            self._connect()
        except OperationalError as error:
            raise self._failure(error) from error

    def find(self, task_id: str) -> TaskMeta | None:
        """Return what came in of *task_id*."""
        with self._news:
            return self._kept.get(task_id)

    def forget(self, ids: Sequence[str]) -> None:
        """Drop what came in of *ids*."""
        with self._news:
            for task_id in ids:
                self._kept.pop(task_id, None)

    def wait(self, ids: Sequence[str], timeout_s: float) -> Sequence[TaskMeta]:
        """Block until one of *ids* is final, and return all of them that are; without *ids*, read what is there."""
        deadline = time.monotonic() + timeout_s
        has_looked = False
        with self._news:
            while True:
                ready = [meta for meta in map(self._kept.get, ids) if meta is not None and meta.is_final]
                left = deadline - time.monotonic()
                if ready or self._is_closed or (has_looked and left <= 0):
                    return ready
                if self._is_reading:
                    has_looked = True  # somebody does
                    self._news.wait(max(0.0, left))
                else:
                    has_looked = True
                    self._read(max(0.0, left))

    def _read(self, timeout_s: float) -> None:
        """Read once, as the one reader, with the lock let go of meanwhile."""
        self._is_reading = True
        self._news.release()
        deliveries: Sequence[Delivery] = ()
        try:
            deliveries = self._receive(timeout_s)
        finally:
            self._news.acquire()
            self._is_reading = False
            for delivery in deliveries:
                self._keep(delivery)
            self._news.notify_all()  # news for some, and the next reader

    def _receive(self, timeout_s: float) -> Sequence[Delivery]:
        try:
            if self._consumer is None:
                self._connect()
            consumer, transport = self._consumer, self._transport
            assert transport is not None
            if consumer is None:
                consumer = self._consumer = transport.consume([self._queue], 0, f"replies-{self.address}")
            deliveries = consumer.receive(_BATCH, timeout_s)
            if deliveries:
                consumer.settle(Settlement(acks=deliveries))
            return deliveries
        except OperationalError as error:
            self._disconnect()
            if self._is_closed:
                return ()
            try:
                self._connect()  # a connection that was idle for long may be lost: once is no failure
            except OperationalError:
                raise self._failure(error) from error
            return ()

    def _keep(self, delivery: Delivery) -> None:
        meta = self._decode(delivery.message) if delivery.error is None else None
        if meta is None or not meta.may_replace(self._kept.get(meta.task_id)):
            return
        self._kept[meta.task_id] = meta
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)

    def _connect(self) -> None:
        if self._transport is None:
            self._transport = self._open()
            self._transport.declare([self._queue])

    def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        transport, self._transport = self._transport, None
        for each in (consumer, transport):
            if each is not None:
                with contextlib.suppress(OperationalError, OSError):
                    each.close()

    def _failure(self, error: Exception) -> BackendGetMetaError:
        return BackendGetMetaError(f"cannot receive results by rpc://: {error}", task_id="")

    def close(self) -> None:
        """Make every waiter return, and remove the queue."""
        with self._news:
            self._is_closed = True
            while self._is_reading:
                if self._consumer is not None:
                    self._consumer.wake()
                self._news.wait(0.1)
            transport = self._transport
            if transport is not None:
                with contextlib.suppress(OperationalError):
                    if self._consumer is not None:
                        self._consumer.close()
                    transport.delete(self.address)
            self._disconnect()
            self._news.notify_all()
