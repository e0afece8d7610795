"""The consumer: claims in batches, waits without polling, keeps its lease, and frees what the dead have held."""

from __future__ import annotations

import contextlib
import math
import os
import select
import time
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from umbel.model import Delivery, Queue, Settlement
from umbel.spi import Consumer
from umbel_library_redis import errors
from umbel_transport_redis.broadcast import Subscription
from umbel_transport_redis.envelope import decode, redelivered
from umbel_transport_redis.link import Link
from umbel_transport_redis.scripts import CLAIM, EXPIRED, PUT_BACK, RECLAIM
from umbel_transport_redis.settings import RedisTransportSettings
from umbel_transport_redis.settling import finished_fields, put_back_arguments
from umbel_transport_redis.topology import Names, bindings_of, is_broadcast

__all__ = ["RedisConsumer"]

#: How often a consumer looks for leases that are over.
_RECLAIM_EVERY_S = 1.0
#: How often a claim is tried at least, whatever was told.
_LOOK_AGAIN_S = 1.0
#: The pause between two looks when the server will not tell of changes (CLIENT TRACKING refused).
_POLL_S = 0.05
_PUT_BACK_BATCH = 200
#: The most that one script claims: Lua has room for some 8,000 arguments of a call, two for each message.
_MOST_AT_ONCE = 2000


class RedisConsumer(Consumer):
    """See :class:`~umbel.spi.Consumer`.

    Waiting stands on Redis's client-side caching: the consumer reads whether its lists exist, and the server sends one
    message when any of them changes. So any number of queues and priorities costs no polling and no latency, and
    Celery's plain ``LPUSH`` wakes it as well as Umbel's.
    """

    def __init__(
        self,
        url: str,
        settings: RedisTransportSettings,
        names: Names,
        consumer_id: str,
        queues: Sequence[Queue],
        prefetch: int,
        timeout_s: float,
    ) -> None:
        self.id = consumer_id
        self._names = names
        self._settings = settings
        self._lease_ms = int(settings.lease_s * 1000)
        self._prefetch = prefetch
        self._serial = 1
        self._turn = 0
        self._reclaim_at = 0.0
        #: When to claim again although nothing is told to have changed; 0: now.
        self._claim_at = 0.0
        self._queues: dict[str, Queue] = {}
        self._closed = False
        self._bell_out, self._bell_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # A server that is silent for longer than the lease lasts has let others free what is held here.
        settings = attrs.evolve(settings, socket_timeout=min(settings.socket_timeout, settings.lease_s))
        self._link = Link(url, settings, timeout_s)
        self._heeding: tuple[tuple[str, ...], ...] = (("CLIENT", "CACHING", "YES"),)
        self._changes: Link | None = Link(url, settings, timeout_s)
        self._subscription = Subscription(url, settings, names, timeout_s)
        self._track()
        for queue in queues:
            self.add_queue(queue)
        self._inflight = names.inflight(consumer_id)

    # -- claiming -----------------------------------------------------------------------------------------------------

    def receive(self, limit: int, timeout_s: float) -> Sequence[Delivery]:
        """Claim a batch, or wait for the first message."""
        deadline = time.monotonic() + timeout_s
        while True:
            now = time.monotonic()
            if now >= self._reclaim_at:
                self._reclaim_at = now + _RECLAIM_EVERY_S
                self._reclaim()
            deliveries: list[Delivery] = []
            if self._queues and now >= self._claim_at:
                deliveries = self._claim(min(max(1, limit), _MOST_AT_ONCE))
            if len(deliveries) < limit:
                deliveries.extend(self._subscription.take(limit - len(deliveries)))
            if deliveries:
                return deliveries
            left = min(deadline, self._reclaim_at, self._claim_at if self._queues else math.inf) - time.monotonic()
            if self._wait(max(0.0, left)):
                return ()
            if time.monotonic() >= deadline:
                return ()

    def _claim(self, limit: int) -> list[Delivery]:
        """Take up to *limit* messages, and set when to claim again: once something changes if nothing was left."""
        queues = list(self._queues)
        self._turn = (self._turn + 1) % len(queues)
        queues = queues[self._turn :] + queues[: self._turn]
        lists = {name: self._names.lists(name) for name in queues}
        order = [
            (name, key) for step in range(len(self._names.steps)) for name in queues for key in (lists[name][step],)
        ]
        first = 3 + len(queues)
        place = {key: first + index for index, (_, key) in enumerate(order)}
        waiting = [self._names.delayed(name) for name in queues]
        answer, *counts = self._link.run_then(
            CLAIM,
            [self._inflight, self._names.leases, *waiting, *(key for _, key in order)],
            [
                self.id,
                self._lease_ms,
                limit,
                self._serial,
                len(queues),
                len(self._names.steps),
                self._prefetch,
                *(place[key] for name in queues for key in lists[name]),
            ],
            # Reading whether they are there is what lets the server tell of the next change.
            *self._heeding,
            ("EXISTS", *(key for _, key in order)),
            *self._heeding,
            ("EXISTS", *waiting),
        )
        deliveries = []
        for index in range(1, len(answer), 2):
            name, key = order[answer[index] - 1]
            for raw in answer[index + 1]:
                deliveries.append(decode(raw, name, (self.id, f"{self._serial}:{key}", raw)))
                self._serial += 1
        has_more = counts[len(self._heeding)] > 0
        self._claim_at = self._next_claim(len(deliveries), answer[0], has_more=has_more)
        return deliveries

    def _next_claim(self, count: int, due_in_ms: int, *, has_more: bool) -> float:
        if has_more and count:
            return 0.0
        if has_more or self._changes is None:  # as many are held as may be, or the server will not tell
            return time.monotonic() + _POLL_S
        return time.monotonic() + (_LOOK_AGAIN_S if due_in_ms < 0 else min(_LOOK_AGAIN_S, due_in_ms / 1000))

    # -- waiting ------------------------------------------------------------------------------------------------------

    def _track(self) -> None:
        """Have the server tell of changes of what is read after CLIENT CACHING YES: not of all that a script touches."""
        assert self._changes is not None
        try:
            listener = self._changes.ask("CLIENT", "ID")
            self._link.ask("CLIENT", "TRACKING", "ON", "REDIRECT", listener, "OPTIN", "NOLOOP")
            self._link.ask("CLIENT", "CACHING", "YES")
            self._changes.ask("SUBSCRIBE", "__redis__:invalidate")
        except errors.ResponseError:  # an old server, a proxy, an ACL: then look every now and then
            self._changes.close()
            self._changes = None
            self._heeding = ()

    def _wait(self, timeout_s: float) -> bool:
        """Sleep until something changes or *timeout_s* is over; say whether :meth:`wake` was called."""
        watched: list[Any] = [self._bell_out, *self._subscription.watched()]
        if self._changes is not None:
            watched.append(self._changes)
        ready, _, _ = select.select(watched, [], [], timeout_s)
        if self._changes in ready:
            assert self._changes is not None
            self._changes.read()
            while self._changes.has_input():
                self._changes.read()
            self._claim_at = 0.0
        if self._bell_out in ready:
            os.read(self._bell_out, 4096)
            return True
        return False

    def wake(self) -> None:
        """Make ``receive`` return."""
        with contextlib.suppress(OSError):  # full: it is awake already; closed: nobody sleeps
            os.write(self._bell_in, b"!")

    # -- leases -------------------------------------------------------------------------------------------------------

    def extend(self) -> None:
        """Renew the lease."""
        seconds, micros = self._link.call("TIME")
        over = int(seconds) * 1000 + int(micros) // 1000 + self._lease_ms
        self._link.call_many([("ZADD", self._names.leases, over, self.id), *self._presence(self._queues)])

    def _presence(self, queues: Iterable[str]) -> list[tuple[Any, ...]]:
        """Return the commands that tell publishers of this consumer."""
        commands: list[tuple[Any, ...]] = []
        for key in map(self._names.listeners, queues):
            commands += [("SADD", key, self.id), ("PEXPIRE", key, self._lease_ms)]
        return commands

    def _reclaim(self) -> None:
        for raw in self._link.run(EXPIRED, [self._names.leases], []):
            consumer = raw.decode()
            if consumer != self.id:
                self._free(consumer)

    def _free(self, consumer: str) -> None:
        held = self._names.inflight(consumer)
        for batch in self._held_by(held) or [[]]:
            arguments: list[Any] = [consumer]
            for field, raw in batch:
                arguments += [field, field.partition(b":")[2], redelivered(raw)]
            if self._link.run(RECLAIM, [self._names.leases, held], arguments) < 0:
                return
            self._claim_at = 0.0

    def _held_by(self, inflight: str) -> list[list[tuple[bytes, bytes]]]:
        """Return what is held, in batches, the last claimed first: each is put before the one put back before it."""
        found = self._link.call("HGETALL", inflight)
        held = sorted(zip(found[::2], found[1::2], strict=True), key=lambda entry: -int(entry[0].partition(b":")[0]))
        return [held[start : start + _PUT_BACK_BATCH] for start in range(0, len(held), _PUT_BACK_BATCH)]

    # -- settling, queues, end ----------------------------------------------------------------------------------------

    def settle(self, settlement: Settlement) -> None:
        """Settle on this connection (a worker settles through ``Transport.settle``)."""
        for consumer, fields in finished_fields(settlement).items():
            self._link.call("HDEL", self._names.inflight(consumer), *fields)
        self._claim_at = 0.0  # what this connection changes itself is not told to it
        for consumer, arguments in put_back_arguments(self._names, settlement).items():
            self._link.run(PUT_BACK, [self._names.inflight(consumer)], arguments)

    def add_queue(self, queue: Queue) -> None:
        """Consume from *queue* too."""
        broadcasts = [(exchange, key) for exchange, key in bindings_of(queue) if is_broadcast(exchange)]
        for exchange, key in broadcasts:
            self._subscription.add(queue, exchange, key)
        if not broadcasts:
            self._queues[queue.name] = queue
            self._claim_at = 0.0
            self._link.call_many(self._presence([queue.name]))

    def cancel_queue(self, name: str) -> None:
        """Take no more from the queue *name*."""
        if self._queues.pop(name, None) is not None:
            self._link.call("SREM", self._names.listeners(name), self.id)
        self._subscription.remove(name)

    def close(self) -> None:
        """Give back what is held."""
        if self._closed:
            return
        self._closed = True
        try:
            for batch in self._held_by(self._inflight):
                arguments: list[Any] = []
                for field, raw in batch:
                    arguments += [field, field.partition(b":")[2], "", raw]
                self._link.run(PUT_BACK, [self._inflight], arguments)
            leaving = [("SREM", self._names.listeners(name), self.id) for name in self._queues]
            self._link.call_many([("ZREM", self._names.leases, self.id), *leaving])
        finally:
            self._subscription.close()
            for link in (self._link, self._changes):
                if link is not None:
                    link.close()
            os.close(self._bell_in)
            os.close(self._bell_out)
