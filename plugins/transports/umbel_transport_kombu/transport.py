"""The transport: publishing, declaring and counting through kombu."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from kombu.transport import virtual

from umbel.exceptions import OperationalError
from umbel.model import Exchange, Publication, Queue
from umbel.spi import Consumer, Transport, TransportCapabilities
from umbel.urls import mask_url
from umbel_transport_kombu.consumer import KombuConsumer
from umbel_transport_kombu.envelope import carried
from umbel_transport_kombu.link import Link, transport_class
from umbel_transport_kombu.quirks import one_transaction, purge
from umbel_transport_kombu.settings import KombuSettings
from umbel_transport_kombu.topology import Topology, is_own, known_kind
from umbel_transport_kombu.variants import Variant, variant_of

__all__ = ["KombuTransport", "make_transport"]

_Carried = tuple[bytes, dict[str, Any], dict[str, Any]]


def make_transport(url: str, settings: KombuSettings) -> Transport:
    """Return the transport that *url* means, with its own capabilities; imports its driver and connects to nothing."""
    variant, plain = variant_of(url, settings.transport)
    transport_class(variant)
    kind: type[KombuTransport] = type("KombuTransport", (KombuTransport,), {"capabilities": variant.capabilities})
    return kind(variant, plain, settings)


class KombuTransport(Transport):
    """A connection of kombu. See :class:`~umbel.spi.Transport`."""

    capabilities: ClassVar[TransportCapabilities] = TransportCapabilities()

    def __init__(self, variant: Variant, url: str, settings: KombuSettings) -> None:
        self._variant = variant
        self._url = url
        self._settings = settings
        self._link: Link | None = None
        self._topology = Topology()
        self._timeout_s = settings.answer_timeout_s
        self._over_at: float | None = None

    def __repr__(self) -> str:
        return f"<KombuTransport {mask_url(self._url)}>"

    def open(self, timeout_s: float) -> None:
        """Connect."""
        self._timeout_s = timeout_s
        if self._link is None:
            self._topology = Topology()
            self._link = Link(self._variant, self._url, self._settings, timeout_s)

    def close(self) -> None:
        """Disconnect."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _run(self, doing: str, work: Any, timeout_s: float | None = None) -> Any:
        if self._link is None:
            raise OperationalError(f"the transport {mask_url(self._url)} is not open: call open() first")
        bound_s = timeout_s or self._settings.answer_timeout_s
        if self._over_at is not None:
            bound_s = max(0.001, min(bound_s, self._over_at - time.monotonic()))
        return self._link.run(doing, work, bound_s)

    @contextlib.contextmanager
    def within(self, timeout_s: float) -> Iterator[None]:
        """Bound what is asked in this block."""
        self._over_at = time.monotonic() + timeout_s
        try:
            yield
        finally:
            self._over_at = None

    def declare(self, queues: Sequence[Queue]) -> None:
        """Declare queues, exchanges and bindings."""

        def work(channel: Any) -> None:
            for queue in queues:
                self._topology.declare(channel, queue)

        self._run("declare queues at", work)

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        """Put the messages into the store one by one: kombu has no batches. All are encoded before the first is put, and SQL takes all or none."""
        prepared = [(publication, carried(publication)) for publication in publications]

        def work(channel: Any) -> None:
            for publication, _ in prepared:
                self._prepare(channel, publication)
            with one_transaction(channel):
                for publication, parts in prepared:
                    self._put(channel, publication, parts)

        if prepared:
            self._run("publish to", work, timeout_s)

    def _put(self, channel: Any, publication: Publication, parts: _Carried) -> None:
        body, headers, properties = parts
        sent = publication.message
        message = channel.prepare_message(
            body,
            content_type=sent.content_type,
            content_encoding=sent.content_encoding,
            headers=headers,
            properties=properties,
            priority=properties["priority"],
        )
        queue, exchange, routing_key = publication.queue, publication.exchange, publication.routing_key
        if not is_own(exchange, queue):
            channel.basic_publish(message, exchange=exchange, routing_key=routing_key)
            return
        name = queue.name if queue is not None else routing_key
        if isinstance(channel, virtual.Channel):  # the envelope names the exchange, though none is asked
            channel._inplace_augment_message(message, exchange, routing_key)
            channel._put(name, message)
        else:
            channel.basic_publish(message, exchange="", routing_key=name)

    def _prepare(self, channel: Any, publication: Publication) -> None:
        """See to it that there is what *publication* goes to."""
        queue, exchange = publication.queue, publication.exchange
        if is_own(exchange, queue):
            self._topology.make(channel, queue or Queue(name=publication.routing_key))
        elif queue is not None:
            self._topology.declare(channel, queue)
        elif isinstance(channel, virtual.Channel) and exchange not in channel.state.exchanges:
            self._topology.make_exchange(channel, Exchange(name=exchange, kind=known_kind(exchange)))

    def consume(self, queues: Sequence[Queue], prefetch: int, name: str) -> Consumer:
        """Return a consumer with a connection of its own."""
        link = Link(self._variant, self._url, self._settings, self._timeout_s)
        try:
            return KombuConsumer(link, self._settings, queues, prefetch)
        except BaseException:
            link.close()
            raise

    def count(self, queues: Sequence[str]) -> Sequence[int]:
        """Ask for the queues' lengths."""
        counts: list[int] = self._run("count messages at", lambda channel: [_length(channel, name) for name in queues])
        return counts

    def purge(self, queue: str) -> int:
        """Drop what waits."""
        return int(self._run("purge a queue of", lambda channel: purge(channel, queue)))

    def delete(self, queue: str) -> None:
        """Remove the queue and its bindings."""
        self._run("delete a queue of", lambda channel: self._topology.delete(channel, queue))


def _length(channel: Any, queue: str) -> int:
    if isinstance(channel, virtual.Channel):
        return int(channel._size(queue))
    return int(channel.queue_declare(queue=queue, passive=True).message_count)
