"""Publishing in batches: one write for all, then the broker's confirmation of each."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Sequence
from typing import Any, Final

from amqp.exceptions import NotFound, PreconditionFailed

from umbel.exceptions import OperationalError, TransportError
from umbel.model import Delivery, Message, Publication, Queue
from umbel_transport_amqp.frames import publish_frames, publish_method
from umbel_transport_amqp.topology import Topology
from umbel_transport_amqp.wire import FAILURES, Wire

__all__ = ["BLOCKED", "DELIVERIES", "Publisher", "again", "without_bookkeeping"]

#: Header that counts how often a message was taken without being finished (classic queues only know "again").
DELIVERIES: Final = "x-umbel-deliveries"
#: What the broker wrote on its way; with it, RabbitMQ would take a second delay of the message for a circle.
BOOKKEEPING: Final = frozenset(
    {
        "x-death",
        "x-delivery-count",
        "x-acquired-count",
        *(f"x-{which}-death-{what}" for which in ("first", "last") for what in ("exchange", "queue", "reason")),
    }
)

_RETURN: Final = b"\x00\x3c\x00\x32"
_ACK: Final = b"\x00\x3c\x00\x50"
_NACK: Final = b"\x00\x3c\x00\x78"
_CONFIRMATION: Final = struct.Struct(">QB")
_MOST_METHODS: Final = 1024

BLOCKED: Final = "; it is blocked by an alarm (memory or disk): see its log"

Route = tuple[str, str]
Sent = tuple[Publication, Route]


class Publisher:
    """Sends on the channel of one wire, which it sees the frames of. Used by one thread at a time."""

    def __init__(self, wire: Wire, topology: Topology, *, confirm: bool = True) -> None:
        self._wire = wire
        self._topology = topology
        self._confirm = confirm
        self._channel_id = 0
        self._serial = 0
        #: What the broker has not confirmed yet, by its number on the channel, in order.
        self.unconfirmed: dict[int, Sent] = {}
        #: What the broker would not take (a full queue); emptied by whoever deals with it.
        self.refused: list[Publication] = []
        #: What the broker took and had no queue for, although one was named; emptied by whoever deals with it.
        self.homeless: list[Sent] = []
        self._in_return = 0  # frames of a returned message still to come: a header, and bytes of body
        self._returned: set[Route] = set()
        self._methods: dict[tuple[str, str, bool], bytes] = {}

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        """Send all; return when the broker has taken them all over."""
        deadline = time.monotonic() + timeout_s
        with self._wire.within(deadline):
            self._send(publications, timeout_s)
            if not self.homeless:
                return
            # A queue that was there once is gone: declare it, and send again what found nobody.
            lost = self.take_homeless()
            self._send(lost, timeout_s)
            if self.homeless:
                _, (exchange, key) = self.homeless[0]
                self.take_homeless()
                raise TransportError(
                    f"RabbitMQ at {self._wire.masked} has no queue for exchange {exchange!r}, routing key {key!r}:"
                    " expected a binding that matches it"
                )

    def take_homeless(self) -> list[Publication]:
        """Return what found no queue, and see to it that the next sending declares everything anew."""
        homeless, self.homeless = [publication for publication, _ in self.homeless], []
        self._returned.clear()
        self._topology.forget()
        return homeless

    def _send(self, publications: Sequence[Publication], timeout_s: float) -> None:
        try:
            self.post(publications)
            read = self._wire.amqp.blocking_read
            while self.unconfirmed:
                read()
        except FAILURES as error:
            # What is still under way must not be taken for the next batch's.
            left = len(self.unconfirmed) or len(publications)
            self.unconfirmed.clear()
            blocked = BLOCKED if self._wire.amqp.is_blocked else ""
            self._wire.drop()
            if isinstance(error, NotFound | PreconditionFailed):
                raise self._wire.translated(error, "publish to") from error
            raise OperationalError(
                f"RabbitMQ at {self._wire.masked} did not confirm {left} of {len(publications)} messages within"
                f" {timeout_s:g} s: {str(error) or type(error).__name__}{blocked}"
            ) from error
        if self.refused:
            count = len(self.refused)
            self.refused.clear()
            raise OperationalError(f"RabbitMQ at {self._wire.masked} refused {count} messages (queue full?)")

    def post(self, publications: Sequence[Publication]) -> None:
        """Write all, and wait for nothing; from now on they are :attr:`unconfirmed`. Raises the driver's errors.

        What cannot be encoded, or whose queue cannot be declared, raises before anything is written.
        """
        channel_id = self._opened()
        frame_max = self._wire.amqp.frame_max
        now = time.time()
        routes = [self._route(publication) for publication in publications]
        frames = [
            self._frames(channel_id, frame_max, route, publication, now)
            for route, publication in zip(routes, publications, strict=True)
        ]
        first = self._serial + 1
        self._serial += len(frames)
        if self._confirm:
            self.unconfirmed.update(enumerate(zip(publications, routes, strict=True), first))
        self._wire.amqp.send_frames(b"".join(frames))

    def _route(self, publication: Publication) -> Route:
        queue = publication.queue
        if queue is not None:
            self._topology.ensure(queue)
        if publication.deliver_at is not None:
            name = queue.name if queue is not None else publication.routing_key
            delayed = self._topology.delayed_route(name, publication.deliver_at)
            if delayed is not None:
                return delayed
        if queue is not None and not publication.exchange and not publication.routing_key:
            return "", queue.name
        return publication.exchange, publication.routing_key

    def _frames(self, channel_id: int, frame_max: int, route: Route, publication: Publication, now: float) -> bytes:
        # Whoever publishes to an exchange without naming a queue does not mind if nobody listens.
        key = (*route, publication.queue is not None and self._confirm)
        method = self._methods.get(key)
        if method is None:
            method = publish_method(channel_id, *key)
            if len(self._methods) < _MOST_METHODS:
                self._methods[key] = method
        message = publication.message
        expiration = None
        if publication.deliver_at is not None:
            # On the ladder a time to live would be spent waiting, and then let the message go early.
            if not BOOKKEEPING.isdisjoint(message.headers):
                message = without_bookkeeping(message)
        elif publication.expires_at is not None:
            expiration = str(max(0, int((publication.expires_at - now) * 1000)))
        return publish_frames(channel_id, frame_max, method, message, publication.priority or 0, expiration)

    # -- the channel --------------------------------------------------------------------------------------------------

    def _opened(self) -> int:
        if not self._channel_id:
            with self._wire.guarded("publish to"):
                channel = self._wire.channel
                if self._confirm:
                    channel.confirm_select()
            self._channel_id = channel.channel_id
            self._wire.amqp.sinks[channel.channel_id] = self._take
        return self._channel_id

    def _take(self, kind: int, payload: bytes) -> bool | None:
        """See a frame of the channel before the driver does."""
        if kind == 1:
            method = payload[:4]
            if method in (_ACK, _NACK):
                self._confirmed(*_CONFIRMATION.unpack_from(payload, 4), refused=method == _NACK)
                return True
            if method == _RETURN:
                self._note_return(payload)
                return False
            return None
        if kind == 2 and self._in_return:
            self._in_return = struct.unpack_from(">Q", payload, 4)[0]
            return not self._in_return
        if kind == 3 and self._in_return:
            self._in_return -= len(payload)
            return not self._in_return
        return None

    def _note_return(self, payload: bytes) -> None:
        at = 6  # behind the method and the reply code
        texts = []
        for _ in range(3):
            end = at + 1 + payload[at]
            texts.append(payload[at + 1 : end].decode("utf-8", "surrogateescape"))
            at = end
        self._returned.add((texts[1], texts[2]))
        self._in_return = 1

    def _confirmed(self, tag: int, flags: int, *, refused: bool) -> None:
        unconfirmed = self.unconfirmed
        several = itertools.takewhile(tag.__ge__, unconfirmed) if flags & 1 else (tag,)
        sent = [unconfirmed.pop(serial) for serial in list(several) if serial in unconfirmed]
        if refused:
            self.refused += [publication for publication, _ in sent]
        elif self._returned:
            # The broker returns a message before it confirms it. Others of its route may have come through before that:
            # they are sent twice then, which is better than not at all.
            self.homeless += [one for one in sent if one[1] in self._returned and one[0].queue is not None]


def without_bookkeeping(message: Message) -> Message:
    """Return *message* without what the broker wrote into its headers on earlier ways."""
    headers: dict[str, Any] = {name: value for name, value in message.headers.items() if name not in BOOKKEEPING}
    return Message(message.body, headers, message.properties, message.content_type, message.content_encoding)


def again(delivery: Delivery, deliver_at: float | None, queue: Queue, deliveries: int) -> Publication:
    """Return *delivery* as a publication to its own queue, counted as taken *deliveries* times so far."""
    message = without_bookkeeping(delivery.message)
    message.headers[DELIVERIES] = deliveries
    return Publication(message, queue, "", delivery.queue, deliver_at, delivery.priority)
