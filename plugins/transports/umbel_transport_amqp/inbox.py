"""What the broker pushed and the worker did not ask for yet: frames made into deliveries."""

from __future__ import annotations

import collections
import time
from collections.abc import Mapping
from typing import Final

from umbel.model import Delivery, Message, Queue
from umbel_transport_amqp.frames import Deliver, parse_deliver, parse_header
from umbel_transport_amqp.publishing import DELIVERIES, without_bookkeeping
from umbel_transport_amqp.topology import DELIVERY_EXCHANGE, undelayed_key

__all__ = ["Inbox", "Tag"]

_DELIVER: Final = b"\x00\x3c\x00\x3c"
_CANCEL: Final = b"\x00\x3c\x00\x1e"

#: (the consumer's own number, delivery tag), so that no consumer speaks for another's deliveries. 0: needs no settling.
Tag = tuple[int, int]


class Inbox:
    """The sink of a consumer's channel. *subscriptions* maps the broker's consumer tags to queues."""

    def __init__(self, owner: int, subscriptions: Mapping[str, Queue]) -> None:
        self.arrived: collections.deque[Delivery] = collections.deque()
        self.unsettled: dict[int, None] = {}  # delivery tags in order, handed out or not
        self.cancelled: list[str] = []  # consumer tags that the broker has withdrawn
        self.last_tag = 0
        self.buffered = 0  # of those that arrived, how many need settling
        self._owner = owner
        self._subscriptions = subscriptions
        self._deliver: Deliver | None = None
        self._message: Message | None = None
        self._missing = 0
        self._pieces: list[bytes] = []
        self._expires: dict[int, float] = {}

    @property
    def held(self) -> int:
        """How many messages are handed out and unsettled."""
        return len(self.unsettled) - self.buffered

    def hand_out(self, limit: int) -> tuple[list[Delivery], list[Delivery]]:
        """Take up to *limit* deliveries out; return them, and those whose time ran out while they lay here."""
        arrived = self.arrived
        if not self._expires:
            count = min(limit, len(arrived))
            found = [arrived.popleft() for _ in range(count)]
            self.buffered -= sum(1 for delivery in found if delivery.tag[1])
            return found, []
        found = []
        dead: list[Delivery] = []
        now = time.monotonic()
        while arrived and len(found) < limit:
            delivery = arrived.popleft()
            self.buffered -= delivery.tag[1] > 0
            expires = self._expires.pop(delivery.tag[1], None)
            (dead if expires is not None and expires < now else found).append(delivery)
        return found, dead

    def withdraw(self, queue: str) -> list[Delivery]:
        """Take out what nobody has asked for yet of the queue *queue*."""
        unasked = [delivery for delivery in self.arrived if delivery.queue == queue]
        self.arrived = collections.deque(delivery for delivery in self.arrived if delivery.queue != queue)
        for delivery in unasked:
            self.buffered -= delivery.tag[1] > 0
            self._expires.pop(delivery.tag[1], None)
        return unasked

    def settle(self, delivery: Delivery) -> bool:
        """Say whether *delivery* is this consumer's to settle, and forget it."""
        owner, tag = delivery.tag
        if owner != self._owner or tag not in self.unsettled:
            return False
        del self.unsettled[tag]
        return True

    def take(self, kind: int, payload: bytes) -> bool | None:
        """See a frame before the driver does (a sink of :class:`AmqpConnection`)."""
        if kind == 1:
            method = payload[:4]
            if method == _DELIVER:
                self._deliver = parse_deliver(payload)
                return False
            if method == _CANCEL:
                self.cancelled.append(payload[5 : 5 + payload[4]].decode())
                return True
            return None
        if self._deliver is None:
            return None
        if kind == 2:
            self._missing, self._message = parse_header(payload)
            return self._complete(b"") if not self._missing else False
        if kind == 3:
            self._missing -= len(payload)
            if not self._missing and not self._pieces:
                return self._complete(payload)
            self._pieces.append(payload)
            return self._complete(b"".join(self._pieces)) if not self._missing else False
        return None

    def _complete(self, body: bytes) -> bool:
        assert self._deliver is not None
        assert self._message is not None
        consumer, tag, redelivered, exchange, routing_key = self._deliver
        message = self._message
        self._deliver = self._message = None
        self._pieces.clear()
        message.body = body
        self.last_tag = tag
        queue = self._subscriptions.get(consumer)
        needs_settling = queue is None or not queue.no_ack
        if needs_settling:
            self.unsettled[tag] = None
            self.buffered += 1
        headers = message.headers
        count = 1
        if redelivered or DELIVERIES in headers or "x-delivery-count" in headers:
            count += _number(headers.get(DELIVERIES)) + _number(headers.get("x-delivery-count"))
            if redelivered:
                count = max(count, 2)
        if exchange == DELIVERY_EXCHANGE:
            # It came down the ladder: to the worker this is a message to its queue, as when it was sent.
            exchange, routing_key = "", undelayed_key(routing_key)
            message = without_bookkeeping(message)
        properties = message.properties
        expiration = properties.get("expiration")
        if expiration is not None and needs_settling and expiration.isdigit():
            self._expires[tag] = time.monotonic() + int(expiration) / 1000
        self.arrived.append(
            Delivery(
                message,
                queue.name if queue is not None else "",
                (self._owner, tag if needs_settling else 0),
                exchange,
                routing_key,
                properties.get("priority") or 0,
                count,
                redelivered,
            )
        )
        return True


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
