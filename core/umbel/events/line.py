"""The connection over which events are published."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from umbel.events.places import event_exchange, scratch_queue
from umbel.exceptions import OperationalError
from umbel.model import Publication
from umbel.protocol.events import as_batches, encode_events, routing_key

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.spi import Transport

__all__ = ["EventLine", "announce"]


class EventLine:
    """Publishes events of the node *hostname* of *app*. Opens its transport when it is needed. Used by one thread.

    *transport* is one that is open already, and is left open.
    """

    def __init__(
        self,
        app: Umbel,
        hostname: str,
        *,
        transport: Transport | None = None,
        serializer: str | None = None,
        delivery_mode: int = 1,
        timeout_s: float | None = None,
    ) -> None:
        self._app = app
        self._hostname = hostname
        self._given = transport
        self._transport: Transport | None = None
        self._serializer = serializer or app.conf.event_serializer
        self._delivery_mode = delivery_mode
        self._timeout_s = float(app.conf.broker_connection_timeout) if timeout_s is None else timeout_s

    def open(self) -> Transport:
        """Connect, unless it is connected, and make the exchange known.

        Raises :class:`~umbel.exceptions.OperationalError`, also where the transport knows no broadcasts.
        """
        if self._transport is not None:
            return self._transport
        transport = self._given or self._app.connections.open_transport(self._timeout_s)
        try:
            announce(self._app, transport)
        except BaseException:
            self._let_go(transport)
            raise
        self._transport = transport
        return transport

    def prepare(self, events: Iterable[dict[str, Any]]) -> list[Publication]:
        """Return the messages of *events*, in their order. Raises :class:`~umbel.exceptions.EncodeError`."""
        return [self.pack(key, what) for key, what in as_batches(events)]

    def alone(self, event: dict[str, Any]) -> Publication:
        """Return the message of one event that is not to be in a list: ``task-sent`` of a client, as Celery sends it."""
        return self.pack(routing_key(event["type"]), event)

    def pack(self, key: str, what: dict[str, Any] | Sequence[dict[str, Any]], *, is_plain: bool = False) -> Publication:
        """Return the message of an event or of several; *is_plain* as in :func:`encode_events`.

        Raises :class:`~umbel.exceptions.EncodeError`.
        """
        app, mode = self._app, self._delivery_mode
        message = encode_events(what, app.codec, self._serializer, self._hostname, mode, is_plain=is_plain)
        return Publication(message, None, app.conf.event_exchange, key)

    def publish(self, publications: Sequence[Publication]) -> None:
        """Send; on any error the connection is given up, and the next call makes a new one."""
        transport = self.open()
        try:
            transport.publish(publications, self._timeout_s)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection. May be called twice."""
        transport, self._transport = self._transport, None
        if transport is not None:
            self._let_go(transport)

    def _let_go(self, transport: Transport) -> None:
        if transport is not self._given:
            with contextlib.suppress(Exception):  # it may be lost already
                transport.close()


def announce(app: Umbel, transport: Transport) -> None:
    """Make the exchange of events known to the broker of *transport*.

    Transports declare exchanges with the queues that are bound to them; to publish to one that nobody has declared is
    an error in AMQP, and on Redis whether it is a broadcast is known from its declaration.
    """
    capabilities = transport.capabilities
    if not capabilities.fanout or event_exchange(app.conf, capabilities).kind not in capabilities.exchange_kinds:
        raise OperationalError(f"{type(transport).__name__} knows no broadcasts, so there are no events on it")
    queue = scratch_queue(app.conf, capabilities)
    transport.declare([queue])
    transport.delete(queue.name)
