"""Sends commands to all workers and collects what they answer."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from umbel.calling.ids import new_id
from umbel.control.replies import Gathering, Replies
from umbel.exceptions import DecodeError, InvalidControlMessage, OperationalError, TransportError
from umbel.model import Delivery, Message, Publication, Queue, Settlement
from umbel.protocol.control import (
    ControlRequest,
    control_exchange,
    decode_reply,
    encode_request,
    probe_queue,
    reply_queue,
)
from umbel.spi import Consumer, Transport

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Mailbox", "names"]

logger = logging.getLogger("umbel.control")

#: How long one more reply is waited for when all are there: two workers of one name both have a say.
_GRACE_S = 0.01
_MOST_AT_ONCE = 1000
_LOOK_EVERY_S = 0.25


class Mailbox:
    """The application's side of remote control. Thread-safe: each call uses a connection of the pool for itself."""

    def __init__(self, app: Umbel) -> None:
        self._app = app
        self._token = new_id()
        self._preparing = threading.Lock()

    def cast(self, request: ControlRequest, timeout_s: float, connection: Transport | None = None) -> None:
        """Send *request*; nobody answers. Raises :class:`~umbel.exceptions.OperationalError` after *timeout_s*."""
        self._using(connection, lambda transport: self._publish(transport, request, timeout_s), timeout_s)

    def call(
        self,
        request: ControlRequest,
        timeout_s: float,
        *,
        limit: int | None = None,
        callback: Callable[[dict[str, Any]], Any] | None = None,
        connection: Transport | None = None,
        abandoned: Callable[[], bool] = bool,
    ) -> Replies:
        """Send *request* and return the answers: when all who live, or were named, have answered, else after *timeout_s*.

        *limit* is the most replies to wait for; *callback* gets each as it comes; it ends early when *abandoned*,
        asked now and then, says so.
        """
        address = new_id()
        queue = reply_queue(self._app.conf, address)
        asked = attrs.evolve(request, ticket=new_id(), reply_to=(queue.exchange.name, address))
        gathering = Gathering(request.destination, request.pattern, request.matcher, limit, callback)

        def ask(transport: Transport) -> None:
            with self._listening(transport, queue) as consumer:
                self._publish(transport, asked, timeout_s)
                self._collect(consumer, asked.ticket, gathering, timeout_s, abandoned)

        self._using(connection, ask, timeout_s)
        return gathering.finish()

    # -- connections --------------------------------------------------------------------------------------------------

    def _using(self, given: Transport | None, action: Callable[[Transport], None], timeout_s: float) -> None:
        """Run *action* with a transport: *given*, or one of the pool. A pooled one may have died of age: then again."""
        if given is not None:
            self._prepare(given)
            action(given)
            return
        pool = self._app.connections.transports
        bound_s = max(timeout_s, float(self._app.conf.broker_connection_timeout))
        for is_last in (False, True):
            transport = pool.acquire(time.monotonic() + bound_s)
            try:
                self._prepare(transport)
                action(transport)
            except (OperationalError, OSError):
                pool.discard(transport)
                if is_last:
                    raise
            except Exception:
                pool.release(transport)
                raise
            except BaseException:  # an interrupt may leave it in the middle of a frame
                pool.discard(transport)
                raise
            else:
                pool.release(transport)
                return

    def _prepare(self, transport: Transport) -> None:
        """See to it that the exchange is there, once in each process."""
        capabilities = transport.capabilities
        if not (capabilities.fanout and "fanout" in capabilities.exchange_kinds):
            raise TransportError(
                f"remote control needs a broker with fan-out, and {type(transport).__name__} has none; use another "
                "broker, or talk to the nodes of this machine: umbel inspect --local"
            )
        pool = self._app.connections.transports
        probe = probe_queue(self._app.conf)
        # A name of its own: two that ask at once must not delete each other's.
        probe = attrs.evolve(probe, name=f"{probe.name}.{self._token}.{os.getpid()}")
        with self._preparing:
            if not pool.is_declared(probe.name):
                pool.declare(transport, [probe])
                transport.delete(probe.name)

    @contextlib.contextmanager
    def _listening(self, transport: Transport, queue: Queue) -> Iterator[Consumer]:
        # Declared and consumed before the command is sent, so that no reply is lost [B1153].
        transport.declare([queue])
        consumer = transport.consume([queue], 0, "control")
        try:
            yield consumer
        finally:
            with contextlib.suppress(OperationalError, OSError):
                consumer.close()
            with contextlib.suppress(TransportError, OSError):
                transport.delete(queue.name)

    # -- messages -----------------------------------------------------------------------------------------------------

    def _publish(self, transport: Transport, request: ControlRequest, timeout_s: float) -> None:
        app = self._app
        stamped = attrs.evolve(
            request, clock=app.clock.forward(), expires_at=time.time() + timeout_s if timeout_s else 0.0
        )
        headers, body = encode_request(stamped)
        data, content_type, encoding = app.codec.dumps(body, app.conf.task_serializer)
        message = Message(data, headers, {"delivery_mode": 2, "priority": 0}, content_type, encoding)
        bound_s = max(timeout_s, float(app.conf.broker_connection_timeout))
        transport.publish([Publication(message, None, control_exchange(app.conf).name, "")], bound_s)

    def _collect(
        self,
        consumer: Consumer,
        ticket: str | None,
        gathering: Gathering,
        timeout_s: float,
        abandoned: Callable[[], bool],
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not gathering.is_full and not abandoned():
            is_complete = gathering.is_complete
            left_s = _GRACE_S if is_complete else deadline - time.monotonic()
            if left_s <= 0:
                return
            deliveries = consumer.receive(_MOST_AT_ONCE, min(left_s, _LOOK_EVERY_S))
            consumer.settle(Settlement(acks=deliveries))
            for reply in filter(None, map(self._read, deliveries)):
                if reply.ticket == ticket and not gathering.is_full:
                    gathering.add(reply)
            if is_complete:
                return

    def _read(self, delivery: Delivery) -> Any:
        """Return the reply, or ``None`` for what is none: anybody may write into the queue."""
        app = self._app
        message = delivery.message
        accept = app.codec.content_types(app.conf.accept_content)
        try:
            if delivery.error is not None:
                raise DecodeError(delivery.error)
            body = app.codec.loads(message.body, message.content_type, message.content_encoding, accept)
            reply = decode_reply(message.headers, body)
        except (DecodeError, InvalidControlMessage) as error:
            logger.warning("passed over what is no reply of a worker: %s", error)
            return None
        app.clock.adjust(reply.clock)
        return reply


def names(destination: str | Sequence[str] | None) -> list[str] | None:
    """Return *destination* as a list of nodes, ``None`` for all. Raises ``ValueError`` for what is neither."""
    if destination is None:
        return None
    if isinstance(destination, str):
        return [name.strip() for name in destination.split(",") if name.strip()]
    if isinstance(destination, list | tuple | set | frozenset) and all(isinstance(name, str) for name in destination):
        return list(destination)
    raise ValueError(f"expected destination to be a list of node names, got {destination!r}")
