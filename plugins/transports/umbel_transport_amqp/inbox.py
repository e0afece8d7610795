"""What the broker pushed and the worker did not ask for yet: frames made into deliveries."""

from __future__ import annotations

import collections
import struct
import time
from collections.abc import Mapping
from typing import Final

from umbel.model import Delivery, Message, Queue
from umbel_transport_amqp.frames import Deliver, parse_deliver, parse_header
from umbel_transport_amqp.publishing import DELIVERIES, without_bookkeeping
from umbel_transport_amqp.topology import DELIVERY_EXCHANGE, undelayed_key

__all__ = ["Inbox", "Tag"]

_DELIVER: Final = b"\x00\x3c\x00\x3c"
_HEAD: Final = struct.Struct(">BHI")
_SIZE: Final = struct.Struct(">Q")
_CANCEL: Final = b"\x00\x3c\x00\x1e"

#: (the consumer's own number, delivery tag), so that no consumer speaks for another's deliveries. 0: needs no settling.
Tag = tuple[int, int]


class Inbox:
    """The sink of a consumer's channel. *subscriptions* maps the broker's consumer tags to queues."""

    def __init__(self, owner: int, channel_id: int, subscriptions: Mapping[str, Queue]) -> None:
        self.arrived: collections.deque[Delivery] = collections.deque()
        self.unsettled: dict[int, Delivery] = {}  # by delivery tag, in order, handed out or not
        self.cancelled: list[str] = []  # consumer tags that the broker has withdrawn
        self.last_tag = 0
        self.buffered = 0  # of those that arrived, how many need settling
        self._owner = owner
        self._channel_id = channel_id
        self._subscriptions = subscriptions
        self._deliver: Deliver | None = None
        self._message: Message | None = None
        self._error: str | None = None
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

    def take_run(self, data: bytes, at: int) -> int:
        """Take the deliveries of one body frame that *data* begins with from *at* on; return where they end.

        Whatever else there is (other methods, large or empty bodies, half a message) is left for :meth:`take`.
        """
        end = len(data)
        unpack = _HEAD.unpack_from
        wanted = self._channel_id
        while self._deliver is None and end - at > 12 and data.startswith(_DELIVER, at + 7):
            kind, channel, size = unpack(data, at)
            header_at = at + 8 + size
            if kind != 1 or channel != wanted or end - header_at < 20:
                break
            kind, channel, size = unpack(data, header_at)
            body_at = header_at + 8 + size
            if kind != 2 or channel != wanted or end - body_at < 8:
                break
            kind, channel, size = unpack(data, body_at)
            after = body_at + 8 + size
            if kind != 3 or channel != wanted or after > end or size != _SIZE.unpack_from(data, header_at + 11)[0]:
                break
            if not data[header_at - 1] == data[body_at - 1] == data[after - 1] == 0xCE:
                break
            self._deliver = parse_deliver(data[at + 7 : header_at - 1])
            self._read_header(data[header_at + 7 : body_at - 1])
            self._complete(data[body_at + 7 : after - 1])
            at = after
        return at

    def _read_header(self, payload: bytes) -> None:
        try:
            self._missing, self._message = parse_header(payload)
        except Exception as error:  # of whatever kind: it must not come again and again, and stop everything else
            self._missing, self._message = _SIZE.unpack_from(payload, 4)[0], Message(b"")
            self._error = f"its headers cannot be read: {error!r}"

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
            self._read_header(payload)
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
        delivery = Delivery(
            message,
            queue.name if queue is not None else "",
            (self._owner, tag if needs_settling else 0),
            exchange,
            routing_key,
            properties.get("priority") or 0,
            count,
            redelivered,
            self._error,
        )
        self._error = None
        if needs_settling:
            self.unsettled[tag] = delivery
            self.buffered += 1
        self.arrived.append(delivery)
        return True


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
