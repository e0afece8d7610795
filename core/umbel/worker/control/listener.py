"""The thread that hears commands and answers them. It shares no connection with the belts, so it never waits for them."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from umbel.exceptions import InvalidControlMessage, OperationalError, TransportError, UmbelError
from umbel.model import Delivery, Message, Publication, Settlement
from umbel.protocol.control import PEERS, PID, ControlRequest, decode_request, node_queue
from umbel.spi import Consumer, Transport
from umbel.worker.backoff import Backoff
from umbel.worker.control.answers import plain

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Listener"]

logger = logging.getLogger("umbel.worker.control")

_LOOK_EVERY_S = 1.0
_MOST_AT_ONCE = 100
_REPLY_TIMEOUT_S = 5.0


class Listener:
    """Takes requests for *node* from the broker, as the *instance* of that name, and gives each to *obey*.

    The answer goes to whoever asked.

    *connected* is called with the transport after each connect, *obeyed* after each command and before its answer goes
    out, *look* every second, all in the listener's thread; *peers* gives the nodes that live, or ``None`` where that is not known.
    """

    def __init__(
        self,
        app: Umbel,
        node: str,
        instance: str,
        obey: Callable[[ControlRequest], Any],
        *,
        connected: Callable[[Transport], None],
        obeyed: Callable[[Transport], None],
        look: Callable[[Transport], None],
        peers: Callable[[], list[str] | None],
    ) -> None:
        self.is_connected = False
        #: Whether another worker of this name was found, and a queue apart from its is used.
        self.has_own_queue = False
        self._app = app
        self._node = node
        self._instance = instance
        self._obey = obey
        self._connected = connected
        self._obeyed = obeyed
        self._look = look
        self._peers = peers
        self._accept = app.codec.content_types(app.conf.accept_content)
        self._queue = self._consumed = node_queue(app.conf, node)
        self._closing = threading.Event()
        self._heard = threading.Event()
        self._consumer: Consumer | None = None
        self._transport: Transport | None = None
        self._thread: threading.Thread | None = None
        self._backoff = Backoff(0.25, 10.0)
        self._is_lost = False

    # -- any thread ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, which connects."""
        self._thread = threading.Thread(target=self._run, name="umbel-control", daemon=True)
        self._thread.start()

    def wait_until_heard(self, timeout_s: float) -> bool:
        """Wait until commands are heard for the first time; say whether they are."""
        return self._heard.wait(timeout_s)

    def is_stopping(self) -> bool:
        """Say whether the end was asked for."""
        return self._closing.is_set()

    def take_own_queue(self) -> None:
        """Listen in a queue of this worker alone from now on: another has the node's name, and shares its queue."""
        self.has_own_queue = True
        self._queue = attrs.evolve(self._queue, name=f"{self._node}.{self._instance}.{self._queue.exchange.name}")
        consumer = self._consumer
        if consumer is not None:
            consumer.wake()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop listening. May be called twice, and from a command."""
        self._closing.set()
        consumer = self._consumer
        if consumer is not None:
            consumer.wake()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._serve()
            except (TransportError, OSError) as error:
                self._lost(error)
            except Exception as error:  # a plugin's fault must not end remote control for good
                logger.exception("remote control failed and begins anew")
                self._lost(error)

    def _lost(self, error: Exception) -> None:
        if self._closing.is_set():
            return
        if self._queue.exclusive and _is_taken(error):
            logger.warning(
                "another worker named %s is at this broker; it is told apart by its process, but give each a name of "
                "its own (-n NAME@%%h)",
                self._node,
            )
            self.take_own_queue()
            return
        pause_s = self._backoff.next_s()
        level = logging.DEBUG if self._is_lost else logging.WARNING
        self._is_lost = True
        logger.log(level, "remote control has no connection: %s; trying again in %.2f s", error, pause_s)
        self._closing.wait(pause_s)

    def _serve(self) -> None:
        with contextlib.ExitStack() as stack:
            self._transport = transport = self._app.open_transport()
            stack.callback(self._close_transport)
            stack.callback(self._disconnected)
            self._consume(transport)
            self._connected(transport)
            self.is_connected = True
            self._heard.set()
            if self._is_lost:
                logger.info("remote control is connected again")
                self._is_lost = False
            self._listen(transport)

    def _consume(self, transport: Transport) -> None:
        """Listen in the queue, and no more in the one before it, which another worker of this name may be consuming."""
        before = self._consumer
        # Not declared by this connection: an exclusive queue belongs to the one that consumes it.
        self._consumer = transport.consume([self._queue], 0, self._node)
        self._consumed = self._queue
        if before is not None:
            _quietly(before.close)

    def _close_transport(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            _quietly(transport.close)

    def _disconnected(self) -> None:
        self.is_connected = False
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            _quietly(consumer.close)

    def _listen(self, transport: Transport) -> None:
        look_at = time.monotonic() + _LOOK_EVERY_S
        while not self._closing.is_set():
            if self._consumed is not self._queue:
                self._consume(transport)
            consumer = self._consumer
            assert consumer is not None
            deliveries = consumer.receive(_MOST_AT_ONCE, max(0.0, look_at - time.monotonic()))
            self._backoff.reset()
            consumer.settle(Settlement(acks=deliveries))
            for delivery in deliveries:
                self._hear(delivery)
            if time.monotonic() >= look_at:
                consumer.extend()
                self._look(self._opened())
                look_at = time.monotonic() + _LOOK_EVERY_S
        if not self._queue.durable and self._consumer is not None:
            with contextlib.suppress(TransportError, OSError):
                self._consumer.cancel_queue(self._consumed.name)

    def _opened(self) -> Transport:
        if self._transport is None:
            self._transport = self._app.open_transport()
        return self._transport

    def _hear(self, delivery: Delivery) -> None:
        try:
            request = self._read(delivery)
            if not request.is_for(self._node):
                return
        except UmbelError as error:
            logger.warning("passed over a control message that cannot be read: %s", error)
            return
        self._app.clock.adjust(request.clock)
        if request.has_expired():
            logger.debug("passed over the command %s, which has expired", request.method)
            return
        logger.debug("command %s%r", request.method, dict(request.arguments))
        answer = self._obey(request)
        self._obeyed(self._opened())
        if request.reply_to is not None:
            self._reply(request, answer)

    def _read(self, delivery: Delivery) -> ControlRequest:
        message = delivery.message
        if delivery.error is not None:
            raise InvalidControlMessage(delivery.error)
        body = self._app.codec.loads(message.body, message.content_type, message.content_encoding, self._accept)
        return decode_request(message.headers, body)

    def _reply(self, request: ControlRequest, answer: Any) -> None:
        assert request.reply_to is not None
        exchange, routing_key = request.reply_to
        app = self._app
        body = {self._node: plain(answer)}
        data, content_type, encoding = app.codec.dumps(body, app.conf.task_serializer)
        headers: dict[str, Any] = {"ticket": request.ticket, "clock": app.clock.forward(), PID: os.getpid()}
        peers = self._peers()
        if peers is not None:
            headers[PEERS] = peers
        message = Message(data, headers, {"delivery_mode": 1, "priority": 0}, content_type, encoding)
        try:
            self._opened().publish([Publication(message, None, exchange, routing_key)], _REPLY_TIMEOUT_S)
        except OperationalError:
            raise
        except TransportError as error:  # the exchange of a stranger, or one that has left
            logger.warning("the reply to %s cannot be sent: %s", request.method, error)
            self._close_transport()  # an error of a channel may have closed it; what is consumed is not touched


def _quietly(close: Callable[[], None]) -> None:
    with contextlib.suppress(TransportError, OSError):  # it may be what was lost
        close()


def _is_taken(error: Exception) -> bool:
    """Say whether *error* is RabbitMQ's RESOURCE_LOCKED: an exclusive queue of another connection."""
    return "RESOURCE_LOCKED" in str(error) or "exclusive access" in str(error)
