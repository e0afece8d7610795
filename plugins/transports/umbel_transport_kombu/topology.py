"""Queues, exchanges and bindings on a channel of kombu."""

from __future__ import annotations

from typing import Any

from kombu.transport import virtual

from umbel.exceptions import TransportError
from umbel.model import Exchange, Queue
from umbel_transport_kombu.quirks import is_unknown_queue

__all__ = ["Topology", "is_own", "known_kind"]


def is_own(exchange: str, queue: Queue | None) -> bool:
    """Say whether *exchange* is the queue's own direct one: then a message goes into the queue, and needs no exchange."""
    if queue is None or queue.exchange.kind != "direct":
        return not exchange
    return exchange in ("", queue.name) and queue.exchange.name in ("", queue.name)


def known_kind(exchange: str) -> str:
    """Return the kind of an exchange that nobody here has declared: Celery's are known by their names."""
    if exchange.endswith(".pidbox"):
        return "direct" if exchange.startswith("reply.") else "fanout"
    return "topic" if exchange.startswith("celeryev") else "direct"


class Topology:
    """Declares once for each connection."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._exchanges: set[str] = set()

    def declare(self, channel: Any, queue: Queue) -> None:
        """See to it that *queue*, its exchanges and its bindings exist."""
        self.make(channel, queue)
        for exchange, routing_key in ((queue.exchange, queue.routing_key), *queue.bindings):
            if exchange.kind == "direct" and exchange.name in ("", queue.name):
                continue
            self.make_exchange(channel, exchange)
            arguments = queue.binding_arguments or None
            channel.queue_bind(queue=queue.name, exchange=exchange.name, routing_key=routing_key, arguments=arguments)

    def make(self, channel: Any, queue: Queue) -> None:
        """See to it that *queue* exists, reached by its name."""
        if queue.name in self._known:
            return
        options = {"durable": queue.durable, "exclusive": queue.exclusive, "auto_delete": queue.auto_delete}
        channel.queue_declare(queue=queue.name, arguments=dict(queue.queue_arguments) or None, **options)
        self._known.add(queue.name)

    def make_exchange(self, channel: Any, exchange: Exchange) -> None:
        """See to it that *exchange* exists."""
        if exchange.name in self._exchanges:
            return
        known = getattr(channel, "exchange_types", None)
        if known is not None and exchange.kind not in known:
            raise TransportError(
                f"expected exchange {exchange.name!r} to be of kind {' or '.join(sorted(known))}, got {exchange.kind!r}: "
                "this transport of kombu routes no other"
            )
        options = {"durable": exchange.durable, "auto_delete": exchange.auto_delete}
        arguments = dict(exchange.arguments) or None
        channel.exchange_declare(exchange=exchange.name, type=exchange.kind, arguments=arguments, **options)
        self._exchanges.add(exchange.name)

    def delete(self, channel: Any, name: str) -> None:
        """Remove the queue *name*, with its bindings."""
        self._known.discard(name)
        if not isinstance(channel, virtual.Channel):
            channel.queue_delete(queue=name)
            return
        # kombu's own forgets the queue, and leaves it in the exchanges' tables.
        for exchange, routing_key, arguments in list(channel.state.queue_bindings(name)):
            entry = channel.typeof(exchange).prepare_bind(name, exchange, routing_key, arguments)
            channel._delete(name, exchange, *entry)
            channel.queue_unbind(name, exchange, routing_key, arguments)
        channel.state.queue_bindings_delete(name)
        try:
            channel._delete(name, "", name, None, name)
        except Exception as error:
            if not is_unknown_queue(channel, error):
                raise
