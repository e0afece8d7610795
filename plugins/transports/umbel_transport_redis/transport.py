"""The transport: publishing, declaring and counting on Redis."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from umbel.exceptions import OperationalError
from umbel.model import Message, Publication, Queue, Settlement
from umbel.spi import Consumer, JointTransport, Revocation, RevocationStore, Transport, TransportCapabilities
from umbel.urls import mask_url
from umbel_library_redis.dialing import database_of, identity_of
from umbel_transport_redis import revocations as revoking
from umbel_transport_redis.consumer import RedisConsumer
from umbel_transport_redis.envelope import Envelopes, encode
from umbel_transport_redis.link import Link
from umbel_transport_redis.scripts import PUT_BACK
from umbel_transport_redis.settings import RedisTransportSettings
from umbel_transport_redis.settling import finished_fields, put_back_arguments
from umbel_transport_redis.topology import Names, Routes, bindings_of, holds_replies, is_broadcast

__all__ = ["CAPABILITIES", "RedisTransport"]

CAPABILITIES = TransportCapabilities(
    fanout=True,
    priorities=True,
    priority_levels=4,
    delayed_delivery=True,
    counts_delayed=True,
    durable=True,
    many_processes=True,
    leases=True,
    counts_deliveries=True,
    settle_from_any_connection=True,
    exchange_kinds=frozenset({"direct", "topic", "fanout"}),
)

Command = tuple[Any, ...]

#: Replies of remote control that nobody has read after this time are gone.
_REPLIES_TTL_MS = 300_000

#: How many messages one LPUSH carries.
_PIECE = 500


class RedisTransport(Transport, JointTransport, RevocationStore):
    """A connection to one Redis server. See :class:`~umbel.spi.Transport`."""

    capabilities: ClassVar[TransportCapabilities] = CAPABILITIES

    def __init__(self, url: str, settings: RedisTransportSettings) -> None:
        self._url = url
        self._settings = settings
        self._names = Names(settings, database_of(url))
        self._routes = Routes(self._names)
        self._link: Link | None = None
        self._timeout_s = 4.0

    def __repr__(self) -> str:
        return f"<RedisTransport {mask_url(self._url)}>"

    @property
    def store_identity(self) -> str:
        """The server and database; equal for the Redis backend on the same URL."""
        return identity_of(self._url, self._settings.master_name, self._settings.global_keyprefix)

    def open(self, timeout_s: float) -> None:
        """Connect."""
        self._timeout_s = timeout_s
        if self._link is None:
            link = Link(self._url, self._settings, timeout_s)
            link.check_server()
            self._link = link

    def close(self) -> None:
        """Disconnect."""
        if self._link is not None:
            self._link.close()
            self._link = None

    @property
    def link(self) -> Link:
        """The open connection."""
        if self._link is None:
            raise OperationalError(f"the transport {mask_url(self._url)} is not open: call open() first")
        return self._link

    def declare(self, queues: Sequence[Queue]) -> None:
        """Write the queues' bindings."""
        commands: list[Command] = []
        for queue in queues:
            for exchange, routing_key in bindings_of(queue):
                member = self._names.member(exchange, routing_key, queue.name)
                table, permanent = self._names.bindings(exchange.name or queue.name)
                commands.append(("SADD", table, member))
                if queue.expires_s is None:
                    commands.append(("SADD", permanent, member))
                if is_broadcast(exchange):
                    commands.append(("SADD", self._names.broadcasts, exchange.name))
                if exchange.name not in ("", queue.name):
                    commands.append(("SADD", self._names.bound(queue.name), f"{exchange.name}\n{member}"))
        if commands:
            self.link.call_many(commands)
            self._routes.forget()

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        """Push into the lists, in one transaction when there is more than one command."""
        link = self.link
        link.limit(timeout_s)
        commands = self._pushes(publications)
        if len(commands) == 1:
            link.call(*commands[0])
        elif commands:
            link.call_many([("MULTI",), *commands, ("EXEC",)])

    def within(self, timeout_s: float) -> AbstractContextManager[None]:
        """Bound each answer of the server."""
        return self.link.within(timeout_s)

    def consume(self, queues: Sequence[Queue], prefetch: int, name: str) -> Consumer:
        """Return a consumer with connections of its own."""
        consumer = f"{name or socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"
        return RedisConsumer(self._url, self._settings, self._names, consumer, queues, prefetch, self._timeout_s)

    def count(self, queues: Sequence[str]) -> Sequence[int]:
        """Return the lengths of the lists and of the delayed sets."""
        commands: list[Command] = []
        for queue in queues:
            commands.extend(("LLEN", key) for key in self._names.lists(queue))
            commands.append(("ZCARD", self._names.delayed(queue)))
        answers = self.link.call_many(commands) if commands else []
        each = len(self._names.steps) + 1
        return [sum(answers[index : index + each]) for index in range(0, len(answers), each)]

    def purge(self, queue: str) -> int:
        """Drop what waits."""
        keys = [*self._names.lists(queue), self._names.delayed(queue)]
        counts = [("LLEN", key) for key in keys[:-1]] + [("ZCARD", keys[-1])]
        answers = self.link.call_many([("MULTI",), *counts, ("DEL", *keys), ("EXEC",)])
        return int(sum(answers[-1][:-1]))

    def delete(self, queue: str) -> None:
        """Remove the queue and its bindings."""
        self.purge(queue)
        bound = [entry.decode().partition("\n") for entry in self.link.call("SMEMBERS", self._names.bound(queue))]
        own = (queue, "", self._names.member(Queue(name=queue).exchange, queue, queue))
        commands: list[Command] = [("DEL", self._names.bound(queue))]
        for exchange, _, member in (own, *bound):
            commands.extend(("SREM", table, member) for table in self._names.bindings(exchange))
        self.link.call_many(commands)
        self._routes.forget()

    def revoke(self, revocations: Sequence[Revocation], expires_s: float) -> None:
        """Add to the sorted set."""
        revoking.write(self.link, self._names.revoked, revocations, expires_s)

    def revocations(self, cursor: Any = None) -> tuple[Sequence[Revocation], Any]:
        """Read what was added behind the score *cursor*."""
        return revoking.read(self.link, self._names.revoked, cursor)

    def settle(self, settlement: Settlement) -> None:
        """Settle deliveries of any consumer of this database."""
        finished = self._finishing(settlement)
        if finished:
            self.link.call_many(finished)
        for consumer, arguments in put_back_arguments(self._names, settlement).items():
            self.link.run(PUT_BACK, [self._names.inflight(consumer)], arguments)

    def write_jointly(
        self, transaction: Any, publications: Sequence[Publication], settlement: Settlement
    ) -> Callable[[], None] | None:
        """Add to a list of commands that the backend runs in one MULTI."""
        transaction.extend(self._pushes(publications))
        transaction.extend(self._finishing(settlement))
        for consumer, arguments in put_back_arguments(self._names, settlement).items():
            transaction.append(("EVAL", PUT_BACK, 1, self._names.inflight(consumer), *arguments))
        return None

    def _finishing(self, settlement: Settlement) -> list[Command]:
        fields = finished_fields(settlement)
        return [("HDEL", self._names.inflight(consumer), *done) for consumer, done in fields.items()]

    def _pushes(self, publications: Sequence[Publication]) -> list[Command]:
        """Return the commands that publish; what goes into one list does so in pieces, which the server reads meanwhile."""
        pushes: dict[str, list[bytes]] = {}
        others: list[Command] = []
        places: dict[tuple[str, int | None], tuple[Callable[[bytes], None], Callable[[Message], bytes]]] = {}
        for publication in publications:
            if publication.exchange or publication.deliver_at is not None:
                others.extend(self._push_elsewhere(publication, pushes))
                continue
            queue = publication.queue
            name = publication.routing_key or (queue.name if queue else "")
            priority = publication.priority
            place = places.get((name, priority))
            if place is None:
                key = self._names.lists(name)[self._names.step_of(priority)]
                envelopes = Envelopes("", name, self._names.wire_priority(priority))
                place = places[name, priority] = pushes.setdefault(key, []).append, envelopes.encode
            push, encoded = place
            push(encoded(publication.message))
        into_lists: list[Command] = [
            ("LPUSH", key, *values[start : start + _PIECE])
            for key, values in pushes.items()
            for start in range(0, len(values), _PIECE)
        ]
        return into_lists + others

    def _push_elsewhere(self, publication: Publication, pushes: dict[str, list[bytes]]) -> list[Command]:
        """Publish through an exchange, or for later: add to *pushes*, and return further commands."""
        names, priority = self._names, publication.priority
        exchange, routing_key = publication.exchange, publication.routing_key
        if exchange and self._routes.is_broadcast(self.link, publication):
            return [
                ("PUBLISH", names.channel(exchange, routing_key), encode(publication.message, exchange, routing_key, 0))
            ]
        commands: list[Command] = []
        step, wire_priority = names.step_of(priority), names.wire_priority(priority)
        for name in self._routes.queues_for(self.link, publication):
            envelope = encode(publication.message, exchange, routing_key if exchange else name, wire_priority)
            if publication.deliver_at is None or not self._routes.waits_in_store(self.link, publication, name):
                pushes.setdefault(names.lists(name)[step], []).append(envelope)
            else:
                score = int(publication.deliver_at * 1000)
                commands.append(("ZADD", names.delayed(name), score, b"%d%b" % (step + 1, envelope)))
            if holds_replies(exchange):  # a caller who died does not read them, nor delete the list
                commands.append(("PEXPIRE", names.lists(name)[step], _REPLIES_TTL_MS))
        return commands
