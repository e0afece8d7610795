"""Declaring exchanges and queues, and the ladder on which messages wait for their time.

A delayed message goes through kombu's native delayed delivery: a chain of 28 queues, one for each bit of the delay in
seconds, so that Celery's quorum-queue clients and we share it. The fraction of a second is spent before, in one of nine
queues of Umbel's own.
"""

from __future__ import annotations

import math
import os
import re
import time
import types
from typing import Any, Final

from amqp.exceptions import AccessRefused, NotFound
from kombu.transport import native_delayed_delivery as ladder

from umbel.exceptions import OperationalError, TransportError
from umbel.model import Exchange, Queue
from umbel_transport_amqp.wire import Wire

__all__ = ["DELIVERY_EXCHANGE", "Topology", "undelayed_key"]

#: The exchange from which messages come down the ladder into their queues.
DELIVERY_EXCHANGE: Final = ladder.CELERY_DELAYED_DELIVERY_EXCHANGE

_BITS_COUNT: Final = ladder.MAX_NUMBER_OF_BITS_TO_USE
_LONGEST_S: Final = 2**_BITS_COUNT - 1
_BITS: Final = re.compile(rf"^(?:[01]\.){{{_BITS_COUNT}}}")
#: Celery binds ``#.name``, which a queue named ``x.name`` would match too.
_ANY_BITS: Final = "*." * _BITS_COUNT
_TENTHS: Final = "umbel_delayed_tenths"
#: A message leaves a queue only when the next one has it; else a broker that is killed between the two loses it.
_HANDS_OVER_SAFELY: Final = {
    "x-queue-type": "quorum",
    "x-overflow": "reject-publish",
    "x-dead-letter-strategy": "at-least-once",
}
#: An exchange that is declared last: when it is there, the whole ladder is, and survives a kill.
_ALL_THERE: Final = "umbel_delayed_complete"
#: The first RabbitMQ that has written down a new quorum queue when it says so.
_WRITES_AT_ONCE: Final = (4,)
_EXTRA_EXPIRES_MS: Final = 60_000
#: More queues than a process uses: the memory of what is declared starts anew.
_MOST_KNOWN: Final = 2000


def undelayed_key(routing_key: str) -> str:
    """Return *routing_key* without the bits of a delay."""
    return _BITS.sub("", routing_key, count=1)


def _arguments(queue: Queue) -> dict[str, Any]:
    arguments = dict(queue.queue_arguments)
    if queue.expires_s is not None:
        arguments["x-expires"] = int(queue.expires_s * 1000)
    if queue.message_ttl_s is not None:
        arguments["x-message-ttl"] = int(queue.message_ttl_s * 1000)
    if queue.max_length is not None:
        arguments["x-max-length"] = queue.max_length
    if queue.max_priority is not None:
        arguments["x-max-priority"] = queue.max_priority
    return arguments


class Topology:
    """Declares on one wire, each thing once."""

    def __init__(self, wire: Wire, delayed_queue_type: str) -> None:
        self._wire = wire
        self._type = delayed_queue_type
        self._known: dict[int, Queue] = {}  # by identity: to compare queues would cost more than to publish
        self._exchanges: set[Exchange] = set()
        self._delayed: set[str] = set()
        self._has_ladder = False

    def ensure(self, queue: Queue) -> None:
        """Declare *queue* unless this was done before. Cheap."""
        if id(queue) not in self._known:
            self.declare(queue)

    def declare(self, queue: Queue) -> None:
        """See to it that *queue*, its exchanges and bindings exist."""
        is_new_quorum = queue.queue_arguments.get("x-queue-type") == "quorum" and not self._is_there(queue.name)
        with self._wire.asking(f"declare queue {queue.name!r} on") as channel:
            channel.queue_declare(
                queue=queue.name,
                durable=queue.durable,
                exclusive=queue.exclusive,
                auto_delete=queue.auto_delete,
                arguments=_arguments(queue),
            )
            for exchange, key in ((queue.exchange, queue.routing_key), *queue.bindings):
                if exchange.name:
                    self._declare_exchange(channel, exchange)
                    channel.queue_bind(
                        queue=queue.name, exchange=exchange.name, routing_key=key, arguments=queue.binding_arguments
                    )
        if is_new_quorum:
            self._have_written(queue.name)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[id(queue)] = queue

    def _is_there(self, name: str) -> bool:
        try:
            with self._wire.asking(f"look for queue {name!r} on") as channel:
                channel.queue_declare(queue=name, passive=True)
        except TransportError as error:
            if isinstance(error.__cause__, NotFound):
                return False
            raise
        return True

    def _have_written(self, name: str) -> None:
        """See to it that the new quorum queue *name*, and what is put into it, survives a kill of the broker.

        Before version 4, RabbitMQ keeps the name of the last one for up to a second before it writes it down; a queue that it
        finds no name for is empty after a restart. It writes down what it has when another one is made.
        """
        if self._wire.server_version >= _WRITES_AT_ONCE:
            return
        extra = f"{name}.{os.urandom(6).hex()}"
        arguments = {"x-queue-type": "quorum", "x-expires": _EXTRA_EXPIRES_MS}
        try:
            with self._wire.asking(f"declare queue {extra!r} on") as channel:
                channel.queue_declare(queue=extra, durable=True, auto_delete=False, arguments=arguments)
                channel.queue_delete(queue=extra)
        except OperationalError as error:
            if not isinstance(error.__cause__, AccessRefused):  # whoever may not make it takes the risk of a second
                raise

    def _declare_exchange(self, channel: Any, exchange: Exchange) -> None:
        if exchange.name.startswith("amq.") or exchange in self._exchanges:
            return
        channel.exchange_declare(
            exchange=exchange.name,
            type=exchange.kind,
            durable=exchange.durable,
            auto_delete=exchange.auto_delete,
            arguments=exchange.arguments,
        )
        self._exchanges.add(exchange)

    # -- delays -------------------------------------------------------------------------------------------------------

    def delayed_route(self, queue_name: str, deliver_at: float) -> tuple[str, str] | None:
        """Return (exchange, routing key) for a message that is due at *deliver_at*; ``None`` when that is now.

        It will go straight into the queue of this name, a tenth of a second late at most, never early.
        """
        if deliver_at <= time.time():
            return None
        if not self._has_ladder:
            self._raise_ladder()
        if queue_name not in self._delayed:
            with self._wire.asking(f"bind queue {queue_name!r} to the delayed messages on") as channel:
                channel.queue_bind(queue=queue_name, exchange=DELIVERY_EXCHANGE, routing_key=_ANY_BITS + queue_name)
            self._delayed.add(queue_name)
        tenths = math.ceil((deliver_at - time.time()) * 10)  # only now: the first of all takes a while
        if tenths <= 0:
            return None
        seconds, tenth = divmod(tenths, 10)
        bits = ".".join(f"{min(seconds, _LONGEST_S):0{_BITS_COUNT}b}")
        exchange = f"{_TENTHS}_{tenth}" if tenth else ladder.level_name(ladder.MAX_LEVEL)
        return exchange, f"{bits}.{queue_name}"

    def _raise_ladder(self) -> None:
        try:
            # Some hundred questions less for each process.
            with self._wire.asking("look for the delay queues on") as channel:
                channel.exchange_declare(exchange=_ALL_THERE, type="fanout", passive=True)
        except OperationalError:
            raise
        except TransportError:
            with self._wire.asking("declare the delay queues on") as channel:
                self._declare_ladder(channel)
            if self._type == "quorum":
                self._have_written(_TENTHS)
            with self._wire.asking("declare the delay queues on") as channel:
                channel.exchange_declare(exchange=_ALL_THERE, type="fanout", durable=True, auto_delete=False)
        self._has_ladder = True

    def _declare_ladder(self, channel: Any) -> None:
        lender: Any = types.SimpleNamespace(channel=lambda: channel)  # kombu would leave a channel of its own open
        ladder.declare_native_delayed_delivery_exchanges_and_queues(lender, self._type)
        for tenth in range(1, 10):
            name = f"{_TENTHS}_{tenth}"
            channel.queue_declare(
                queue=name,
                durable=True,
                auto_delete=False,
                arguments={
                    "x-message-ttl": tenth * 100,
                    "x-dead-letter-exchange": ladder.level_name(ladder.MAX_LEVEL),
                    **(_HANDS_OVER_SAFELY if self._type == "quorum" else {}),
                },
            )
            channel.exchange_declare(exchange=name, type="fanout", durable=True, auto_delete=False)
            channel.queue_bind(queue=name, exchange=name)

    def forget(self) -> None:
        """Declare everything anew the next time: something of it has been deleted."""
        self._known.clear()
        self._exchanges.clear()
        self._delayed.clear()
        self._has_ladder = False
