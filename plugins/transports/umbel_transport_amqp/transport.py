"""The transport: publishing, declaring and counting on RabbitMQ."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from amqp.exceptions import NotFound

from umbel.exceptions import OperationalError, TransportError
from umbel.model import Publication, Queue
from umbel.spi import Consumer, Transport, TransportCapabilities
from umbel.urls import mask_url
from umbel_transport_amqp.consumer import AmqpConsumer
from umbel_transport_amqp.outbox import Outbox
from umbel_transport_amqp.publishing import Publisher
from umbel_transport_amqp.settings import AmqpSettings
from umbel_transport_amqp.topology import Topology
from umbel_transport_amqp.wire import Wire

__all__ = ["CAPABILITIES", "AmqpTransport"]

CAPABILITIES = TransportCapabilities(
    fanout=True,
    keeps_broadcasts=True,
    priorities=True,
    delayed_delivery=True,
    durable=True,
    many_processes=True,
    leases=True,
    expires_messages=True,
    exchange_kinds=frozenset({"direct", "topic", "fanout", "headers"}),
)


class AmqpTransport(Transport):
    """A connection to one RabbitMQ. See :class:`~umbel.spi.Transport`."""

    capabilities: ClassVar[TransportCapabilities] = CAPABILITIES

    def __init__(self, url: str, settings: AmqpSettings, outbox: Callable[[], Outbox] | None = None) -> None:
        self._url = url
        self._settings = settings
        self._find_outbox = outbox
        self._outbox: Outbox | None = None
        self._wire: Wire | None = None
        self._topology: Topology | None = None
        self._publisher: Publisher | None = None
        self._timeout_s = 4.0

    def __repr__(self) -> str:
        return f"<AmqpTransport {mask_url(self._url)}>"

    def open(self, timeout_s: float) -> None:
        """Connect."""
        self._timeout_s = timeout_s
        if self._wire is None:
            self._wire = Wire(self._url, self._settings, timeout_s)
            self._topology = Topology(self._wire, self._settings.delayed_queue_type)
            self._publisher = Publisher(self._wire, self._topology, confirm=self._settings.confirm_publish)

    def close(self) -> None:
        """Disconnect."""
        wire, self._wire = self._wire, None
        self._topology = self._publisher = None
        outbox, self._outbox = self._outbox, None
        if wire is not None:
            wire.close()
        if outbox is not None:
            outbox.detach()

    def allow_unconfirmed(self) -> None:
        """Publish through the outbox from now on, where the setting ``publisher_confirms`` is ``window``."""
        settings = self._settings
        if self._find_outbox is None or settings.publisher_confirms != "window" or not settings.confirm_publish:
            return
        if self._outbox is None:
            self._outbox = self._find_outbox()
            self._outbox.attach()

    def _opened(self) -> tuple[Wire, Topology, Publisher]:
        if self._wire is None or self._topology is None or self._publisher is None:
            raise OperationalError(f"the transport {mask_url(self._url)} is not open: call open() first")
        if not self._wire.is_usable:
            raise OperationalError(f"the connection to RabbitMQ at {mask_url(self._url)} is lost: open another one")
        return self._wire, self._topology, self._publisher

    def declare(self, queues: Sequence[Queue]) -> None:
        """Declare queues, exchanges and bindings."""
        _, topology, _ = self._opened()
        for queue in queues:
            topology.declare(queue)

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        """Publish, and wait for the broker's confirmation of all, or for their place in the window of the unconfirmed."""
        if self._outbox is not None:
            if publications:
                self._outbox.send(publications, timeout_s)
            return
        _, _, publisher = self._opened()
        if publications:
            publisher.publish(publications, timeout_s)

    def within(self, timeout_s: float) -> AbstractContextManager[None]:
        """Bound all that the broker is asked."""
        wire, _, _ = self._opened()
        return wire.within(time.monotonic() + timeout_s)

    def consume(self, queues: Sequence[Queue], prefetch: int, name: str) -> Consumer:
        """Return a consumer with a connection of its own."""
        return AmqpConsumer(self._url, self._settings, queues, prefetch, self._timeout_s)

    def count(self, queues: Sequence[str]) -> Sequence[int]:
        """Ask for the queues' lengths (what waits on the delay ladder is not counted)."""
        return [self._if_there(f"count queue {name!r} of", _length, name) for name in queues]

    def purge(self, queue: str) -> int:
        """Drop what waits (what waits on the delay ladder stays)."""
        return self._if_there(f"purge queue {queue!r} of", _purge, queue)

    def delete(self, queue: str) -> None:
        """Remove the queue."""
        wire, topology, _ = self._opened()
        with wire.asking(f"delete queue {queue!r} of") as channel:
            channel.queue_delete(queue=queue)
        topology.forget()

    def _if_there(self, doing: str, ask: Callable[[Any, str], int], queue: str) -> int:
        """Ask about *queue*; 0 when there is none."""
        wire, _, _ = self._opened()
        try:
            with wire.asking(doing) as channel:
                return ask(channel, queue)
        except TransportError as error:
            if isinstance(error.__cause__, NotFound):
                return 0
            raise


def _length(channel: Any, queue: str) -> int:
    return int(channel.queue_declare(queue=queue, passive=True).message_count)


def _purge(channel: Any, queue: str) -> int:
    return int(channel.queue_purge(queue=queue))
