"""The consumer: takes what waits without a pause between two messages, and looks seldom while there is nothing."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from kombu.transport import virtual

from umbel.exceptions import OperationalError
from umbel.model import Delivery, Queue, Settlement
from umbel.spi import Consumer
from umbel_transport_kombu.envelope import decode, garbage, returned
from umbel_transport_kombu.link import Link
from umbel_transport_kombu.quirks import Garbage, set_wait
from umbel_transport_kombu.settings import KombuSettings
from umbel_transport_kombu.topology import Topology

__all__ = ["KombuConsumer"]

#: The pause after the first look in vain; it doubles up to ``polling_interval``.
_FIRST_PAUSE_S: Final = 0.05
_owners = itertools.count(1)


class KombuConsumer(Consumer):
    """See :class:`~umbel.spi.Consumer`. What it holds lives in this process: kombu's transports know no leases."""

    def __init__(self, link: Link, settings: KombuSettings, queues: Sequence[Queue], prefetch: int) -> None:
        self._link = link
        self._settings = settings
        self._prefetch = prefetch
        self._topology = Topology()
        self._owner = next(_owners)
        self._serials = itertools.count(1)
        self._subscriptions: dict[str, str] = {}
        self._arrived: deque[Delivery] = deque()
        self._held: dict[tuple[int, int], tuple[str, Any]] = {}
        self._bell = threading.Event()
        self._pause_s = _FIRST_PAUSE_S
        self._closed = False
        for queue in queues:
            self.add_queue(queue)

    # -- receiving ----------------------------------------------------------------------------------------------------

    def receive(self, limit: int, timeout_s: float) -> Sequence[Delivery]:
        """Look at once, then after longer and longer pauses, or leave the waiting to a broker that can."""
        deadline = time.monotonic() + timeout_s
        wait_s = 0
        while True:
            if self._has_room():
                self._look(limit, wait_s)
            if self._arrived:
                self._pause_s = _FIRST_PAUSE_S
                return [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]
            left = deadline - time.monotonic()
            pause_s = 0.0 if wait_s else min(self._pause_s, left)
            self._pause_s = min(self._pause_s * 2, self._settings.polling_interval)
            if self._bell.wait(max(0.0, pause_s)):
                self._bell.clear()
                return ()
            left = deadline - time.monotonic()
            if left <= 0:
                return ()
            wait_s = 1 if left >= 0.5 and self._can_wait() else 0

    def _can_wait(self) -> bool:
        return bool(self._subscriptions) and self._run("consume from", lambda channel: set_wait(channel, 1))

    def _has_room(self) -> bool:
        return bool(self._subscriptions) and (not self._prefetch or len(self._held) < self._prefetch)

    def _look(self, limit: int, wait_s: int) -> None:
        room = limit if not self._prefetch else min(limit, self._prefetch - len(self._held))
        self._run("consume from", lambda channel: self._drain(channel, room - len(self._arrived), wait_s))

    def _drain(self, channel: Any, limit: int, wait_s: int) -> None:
        start = len(self._arrived)
        set_wait(channel, wait_s)
        while (got := len(self._arrived) - start) < limit:
            channel.basic_qos(0, len(self._held) + limit - got, False)
            try:
                self._link.connection.drain_events(timeout=0)
            except TimeoutError:  # there is nothing more
                return
            except Garbage as error:
                self._arrived.append(garbage(error.args[0], self._some_queue(), None, error))
            set_wait(channel, 0)

    def _some_queue(self) -> str:
        return next(iter(self._subscriptions), "")

    def _take(self, queue: str, message: Any) -> None:
        tag = (self._owner, next(self._serials))
        try:
            delivery = decode(message, queue, tag)
        except Exception as error:  # whatever a stranger has put there
            delivery = garbage(repr(getattr(message, "_raw", message)).encode(), queue, tag, error)
        self._held[tag] = queue, message
        self._arrived.append(delivery)

    def _guard(self, queue: str) -> None:
        """Let an envelope that kombu cannot read through as garbage."""
        callbacks = self._link.connection.connection._callbacks
        read = callbacks[queue]

        def guarded(raw: Any) -> None:
            try:
                read(raw)
            except Exception as error:  # whatever a stranger has put there
                self._arrived.append(garbage(_bytes_of(raw), queue, None, error))

        callbacks[queue] = guarded

    # -- settling -----------------------------------------------------------------------------------------------------

    def settle(self, settlement: Settlement) -> None:
        """Put back a copy and then acknowledge what it is a copy of: nothing is lost between the two."""
        self._run("settle at", lambda channel: self._settle(channel, settlement))

    def _settle(self, channel: Any, settlement: Settlement) -> None:
        for delivery in (*settlement.acks, *settlement.rejects):
            if delivery.tag in self._held:
                _, message = self._held.pop(delivery.tag)
                channel.basic_ack(message.delivery_tag)
        for delivery in settlement.requeues:
            if delivery.tag in self._held:
                self._give_back(channel, *self._held[delivery.tag], uncounted=settlement.uncounted)
                del self._held[delivery.tag]

    @staticmethod
    def _give_back(channel: Any, queue: str, message: Any, *, uncounted: bool) -> None:
        if isinstance(channel, virtual.Channel):
            try:
                envelope = returned(message, uncounted=uncounted)
            except Exception:  # garbage goes back as it was found
                envelope = message._raw
            channel._put(queue, envelope)
            channel.basic_ack(message.delivery_tag)
        else:
            channel.basic_reject(message.delivery_tag, requeue=True)

    def extend(self) -> None:
        """Nothing to renew: who holds a message lives and dies with this process."""

    def wake(self) -> None:
        """Make ``receive`` return: at once, or after the second for which a broker may be waiting for us."""
        self._bell.set()

    # -- queues, end --------------------------------------------------------------------------------------------------

    def add_queue(self, queue: Queue) -> None:
        """Consume from *queue* too."""
        if queue.name not in self._subscriptions:
            self._run(f"consume queue {queue.name!r} of", lambda channel: self._subscribe(channel, queue))
            self._pause_s = _FIRST_PAUSE_S

    def _subscribe(self, channel: Any, queue: Queue) -> None:
        self._topology.declare(channel, queue)
        tag = f"umbel-{self._owner}-{next(self._serials)}"
        channel.basic_consume(
            queue=queue.name,
            no_ack=False,
            callback=lambda message: self._take(queue.name, message),
            consumer_tag=tag,
        )
        if isinstance(channel, virtual.Channel):
            self._guard(queue.name)
        self._subscriptions[queue.name] = tag

    def cancel_queue(self, name: str) -> None:
        """Take no more from the queue *name*."""
        tag = self._subscriptions.pop(name, None)
        if tag is not None:
            self._run(f"cancel queue {name!r} of", lambda channel: channel.basic_cancel(tag))

    def close(self) -> None:
        """Give back what is held, uncounted."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._link.is_usable and self._held:
                self._run("give back to", self._give_everything_back)
        except OperationalError:
            pass
        finally:
            self._link.close()

    def _give_everything_back(self, channel: Any) -> None:
        for tag, held in list(self._held.items()):
            self._give_back(channel, *held, uncounted=True)
            del self._held[tag]

    def _run(self, doing: str, work: Any) -> Any:
        return self._link.run(doing, work, self._settings.answer_timeout_s)


def _bytes_of(raw: Any) -> bytes:
    return raw if isinstance(raw, bytes) else repr(raw).encode()
