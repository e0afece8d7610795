"""Listening to events."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from umbel.calling.ids import new_id
from umbel.events.line import announce
from umbel.events.places import event_queue
from umbel.exceptions import UmbelError
from umbel.model import Delivery, Settlement
from umbel.protocol.events import decode_events

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.spi import Consumer, Transport

__all__ = ["EventReceiver", "Handler"]

logger = logging.getLogger("umbel.events")

#: Called with an event, which is its own to keep.
Handler = Callable[[dict[str, Any]], Any]

_MOST_AT_ONCE: Final = 500
#: A listener has to give a sign of life to its broker so often.
_EXTEND_EVERY_S: Final = 1.0
_LOUD_WARNINGS: Final = 5


class EventReceiver:
    """Listens to the events of all programs that use the same broker.

    *handlers* are called by type; ``"*"`` takes the types that have none. *connection* is an open transport, left
    open; ``None`` opens one. *routing_key* narrows what is heard: ``task.#``, ``worker.#``. *node_id* names the queue.
    *accept* names the serializers to take (``event_serializer`` and JSON). *queue_ttl*, *queue_expires* (seconds),
    *queue_exclusive*, *queue_durable*, *queue_prefix*: the queue, instead of the settings ``event_queue_...``.

    One thread uses it; :meth:`stop` may be called by any. The queue exists from the first listening until
    :meth:`close`, so that nothing is missed between two calls of :meth:`capture`.
    """

    #: The application, for those made by ``app.events.Receiver``.
    app: ClassVar[Umbel | None] = None

    def __init__(
        self,
        connection: Transport | None = None,
        handlers: Mapping[str, Handler] | None = None,
        routing_key: str = "#",
        node_id: str | None = None,
        app: Umbel | None = None,
        queue_prefix: str | None = None,
        accept: Collection[str] | None = None,
        queue_ttl: float | None = None,
        queue_expires: float | None = None,
        queue_exclusive: bool | None = None,
        queue_durable: bool | None = None,
    ) -> None:
        chosen = app or self.app
        if chosen is None:
            raise TypeError("expected an application: use app.events.Receiver(...), or pass app=")
        self._app = chosen
        self.handlers: dict[str, Handler] = dict(handlers or {})
        self.routing_key = routing_key
        self.node_id = node_id or new_id()
        #: How many messages were no events; they are dropped.
        self.malformed = 0
        #: True makes :meth:`capture` return after the event in hand.
        self.should_stop = False
        self._connection = connection
        self._queue_options: dict[str, Any] = {
            "prefix": queue_prefix,
            "message_ttl_s": queue_ttl,
            "expires_s": queue_expires,
            "exclusive": queue_exclusive,
            "durable": queue_durable,
        }
        names = {chosen.conf.event_serializer, "json"} if accept is None else accept
        self._accept = chosen.codec.content_types(names)
        self._transport: Transport | None = None
        self._consumer: Consumer | None = None
        self._opening = threading.Lock()
        self._extend_at = 0.0
        self._pending: deque[dict[str, Any]] = deque()

    # -- life ---------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to listen, unless this was done. Raises :class:`~umbel.exceptions.OperationalError`."""
        with self._opening:
            if self._consumer is not None:
                return
            app = self._app
            transport = self._connection or app.open_transport()
            try:
                announce(app, transport)
                queue = event_queue(
                    app.conf, transport.capabilities, self.routing_key, self.node_id, **self._queue_options
                )
                self._consumer = transport.consume([queue], 0, self.node_id)
            except BaseException:
                self._let_go(transport)
                raise
            self._transport = transport
            self._extend_at = time.monotonic() + _EXTEND_EVERY_S

    def close(self) -> None:
        """Listen no more; the queue is gone. May be called twice, and from a thread that finds it lost."""
        with self._opening:
            consumer, self._consumer = self._consumer, None
            transport, self._transport = self._transport, None
        if consumer is not None:
            with contextlib.suppress(Exception):  # it may be lost already
                consumer.close()
        if transport is not None:
            self._let_go(transport)

    def _let_go(self, transport: Transport) -> None:
        if transport is not self._connection:
            with contextlib.suppress(Exception):  # it may be lost already
                transport.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def stop(self) -> None:
        """Make :meth:`capture` and a blocked :meth:`drain` return. Any thread."""
        self.should_stop = True
        consumer = self._consumer
        if consumer is not None:
            consumer.wake()

    # -- listening ----------------------------------------------------------------------------------------------------

    def capture(self, limit: int | None = None, timeout: float | None = None, wakeup: bool = True) -> None:
        """Hand events to the handlers until *limit* of them were, :meth:`stop` is called, or forever.

        Raises ``TimeoutError`` after *timeout* seconds without an event, and
        :class:`~umbel.exceptions.OperationalError` when the connection is lost. With *wakeup* the workers are asked to
        say at once that they are there [B219].
        """
        for _ in self.itercapture(limit, timeout, wakeup):
            pass

    def itercapture(
        self, limit: int | None = None, timeout: float | None = None, wakeup: bool = True
    ) -> Iterator[dict[str, Any]]:
        """Like :meth:`capture`, giving each event after its handler had it."""
        self.open()
        if wakeup:
            self.wakeup_workers()
        left = limit
        silent_since = time.monotonic()
        while not self.should_stop and left != 0:
            if not self._pending:
                until_s = _EXTEND_EVERY_S if timeout is None else silent_since + timeout - time.monotonic()
                self._fetch(min(_EXTEND_EVERY_S, max(0.0, until_s)))
            if not self._pending:
                if timeout is not None and time.monotonic() - silent_since >= timeout:
                    raise TimeoutError(f"no event within {timeout:g} s")
                continue
            event = self._pending.popleft()
            self.process(event["type"], event)
            silent_since = time.monotonic()
            left = None if left is None else left - 1
            yield event

    def drain(self, timeout_s: float) -> int:
        """Hand what is there to the handlers, waiting up to *timeout_s* for the first; return how many that were."""
        self.open()
        if not self._pending:
            self._fetch(timeout_s)
        count = 0
        while self._pending:
            event = self._pending.popleft()
            self.process(event["type"], event)
            count += 1
        return count

    def process(self, type: str, event: dict[str, Any]) -> None:
        """Call the handler of *type*, or that of ``"*"``."""
        handler = self.handlers.get(type) or self.handlers.get("*")
        if handler is not None:
            handler(event)

    def wakeup_workers(self) -> None:
        """Ask every worker for a heartbeat now, where the broker lets us; what goes wrong is tolerated."""
        control = getattr(self._app, "control", None)
        if control is None:
            return
        try:
            control.broadcast("heartbeat")
        except (UmbelError, OSError) as error:
            logger.debug("the workers could not be asked for a heartbeat: %s", error)

    def event_from_message(self, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Complete an event that has come: its ``clock``, when it is without, and ``local_received``.

        Celery also shifts ``timestamp`` by the sender's time zone; it is Unix time, so that is left out here.
        """
        kind: str = body["type"]
        clock = self._app.clock
        if kind == "task-sent":  # clients hear nobody, so their time says nothing
            body["clock"] = max(1, clock.value - 1)
        elif body.get("clock") is None:
            body["clock"] = clock.forward()
        else:
            clock.adjust(int(body["clock"]))
        body["local_received"] = time.time()
        return kind, body

    def _fetch(self, timeout_s: float) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        try:
            now = time.monotonic()
            if now >= self._extend_at:
                consumer.extend()
                self._extend_at = now + _EXTEND_EVERY_S
            deliveries = consumer.receive(_MOST_AT_ONCE, timeout_s)
            if deliveries:
                consumer.settle(Settlement(acks=deliveries))
        except BaseException:
            self.close()
            raise
        for delivery in deliveries:
            self._read(delivery)

    def _read(self, delivery: Delivery) -> None:
        try:
            if delivery.error is not None:
                raise UmbelError(delivery.error)
            events = decode_events(delivery.message, self._app.codec, self._accept)
        except UmbelError as error:
            self.malformed += 1
            level = logging.WARNING if self.malformed <= _LOUD_WARNINGS else logging.DEBUG
            logger.log(level, "dropped a message that is no event: %s", error)
            return
        for event in events:
            self._pending.append(self.event_from_message(event)[1])
