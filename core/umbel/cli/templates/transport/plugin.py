"""The transport ``demo``: messages in this process, to be replaced by your broker."""

from __future__ import annotations

import bisect
import itertools
import json
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs

from umbel.hookspecs import hookimpl
from umbel.model import Delivery, Message, PluginInfo, Publication, Queue, Settlement
from umbel.spi import Consumer, Transport, TransportCapabilities

__all__ = ["DemoTransport", "plugin_info", "umbel_transport"]

CAPABILITIES = TransportCapabilities(counts_deliveries=True, exchange_kinds=frozenset())


@attrs.define(order=True)
class _Stored:
    place: int
    message: str = attrs.field(order=False)
    body: bytes = attrs.field(order=False)
    publication: Publication = attrs.field(order=False)
    deliveries: int = attrs.field(default=0, order=False)


class _Store:
    """The queues behind one URL; ``changed`` guards them, and wakes who waits for a message."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.queues: dict[str, list[_Stored]] = {}
        self.numbers = itertools.count()

    def put(self, queue: str, stored: _Stored) -> None:
        bisect.insort(self.queues.setdefault(queue, []), stored)
        self.changed.notify_all()


_stores: dict[str, _Store] = {}


class DemoConsumer(Consumer):
    """Holds messages until they are settled."""

    def __init__(self, store: _Store, queues: Sequence[Queue], prefetch: int) -> None:
        self._store, self._prefetch, self._woken = store, prefetch, False
        self._names = [queue.name for queue in queues]
        self._held: dict[int, tuple[str, _Stored]] = {}

    def _room(self) -> int:
        return self._prefetch - len(self._held) if self._prefetch else 1_000_000

    def _waiting(self) -> str | None:
        return next((name for name in self._names if self._room() > 0 and self._store.queues.get(name)), None)

    def receive(self, limit: int, timeout_s: float) -> Sequence[Delivery]:
        with self._store.changed:
            self._store.changed.wait_for(lambda: self._woken or self._waiting(), timeout_s)
            self._woken = False
            name = self._waiting()
            if name is None:
                return []
            self._names.append(self._names.pop(self._names.index(name)))  # the others' turn comes first next time
            queue = self._store.queues[name]
            taken, queue[:] = queue[: min(limit, self._room())], queue[min(limit, self._room()) :]
            return [self._claimed(name, stored) for stored in taken]

    def _claimed(self, name: str, stored: _Stored) -> Delivery:
        tag = next(self._store.numbers)
        self._held[tag] = name, stored
        stored.deliveries += 1
        sent, count = stored.publication, stored.deliveries
        message = Message(stored.body, *json.loads(stored.message))
        return Delivery(message, name, tag, sent.exchange, sent.routing_key, sent.priority or 0, count, count > 1)

    def settle(self, settlement: Settlement) -> None:
        with self._store.changed:
            for delivery in (*settlement.acks, *settlement.rejects):
                self._held.pop(delivery.tag, None)
            self._give_back([delivery.tag for delivery in settlement.requeues], settlement.uncounted)
            self._store.changed.notify_all()

    def _give_back(self, tags: Sequence[int], uncounted: bool) -> None:
        for name, stored in [self._held.pop(tag) for tag in tags if tag in self._held]:
            stored.deliveries -= uncounted
            self._store.put(name, stored)

    def extend(self) -> None: ...

    def wake(self) -> None:
        with self._store.changed:
            self._woken = True
            self._store.changed.notify_all()

    def add_queue(self, queue: Queue) -> None:
        if queue.name not in self._names:
            self._names.append(queue.name)

    def cancel_queue(self, name: str) -> None:
        self._names = [other for other in self._names if other != name]

    def close(self) -> None:
        with self._store.changed:
            self._give_back(list(self._held), uncounted=True)


class DemoTransport(Transport):
    """A connection to the queues behind a URL."""

    capabilities: ClassVar[TransportCapabilities] = CAPABILITIES

    def __init__(self, url: str) -> None:
        self._store = _stores.setdefault(url, _Store())

    def open(self, timeout_s: float) -> None: ...

    def close(self) -> None: ...

    def declare(self, queues: Sequence[Queue]) -> None: ...

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        stored = []
        for sent in publications:
            message = sent.message
            head = json.dumps((message.headers, message.properties, message.content_type, message.content_encoding))
            stored.append(_Stored(next(self._store.numbers), head, message.body, sent))
        with self._store.changed:
            for one in stored:
                self._store.put(
                    one.publication.queue.name if one.publication.queue else one.publication.routing_key, one
                )

    def consume(self, queues: Sequence[Queue], prefetch: int, name: str) -> Consumer:
        return DemoConsumer(self._store, queues, prefetch)

    def count(self, queues: Sequence[str]) -> Sequence[int]:
        return [len(self._store.queues.get(name, ())) for name in queues]

    def purge(self, queue: str) -> int:
        with self._store.changed:
            return len(self._store.queues.pop(queue, ()))

    def delete(self, queue: str) -> None:
        self.purge(queue)


plugin_info = PluginInfo(
    kind="transport",
    names=("demo",),
    summary="messages in this process",
    capabilities=CAPABILITIES,
    testing_url="demo://{unique}",
)


@hookimpl
def umbel_transport(app: Any, url: str) -> Transport:
    """Make a connection; it is opened later."""
    return DemoTransport(url)
