"""Puts messages into queues: one statement for one message, one transaction for many."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from umbel.doorbell import Doorbell
from umbel.model import Publication
from umbel.sqlite_file import Connection
from umbel_library_heads import heads
from umbel_transport_sqlite import places
from umbel_transport_sqlite.topology import Target, Topology

__all__ = ["BIG_BODY", "LOOK_AGAIN_S", "NEXT_PLACE", "Ringer", "publish", "publish_one"]

#: Bodies above this stay in one place while their message moves from table to table.
BIG_BODY: Final = 2048
#: Every consumer looks at the store at least this often, so nobody need be woken for what is due later than that.
LOOK_AGAIN_S: Final = 1.0

NEXT_PLACE: Final = "SELECT max(id) FROM umbel_ready WHERE id BETWEEN ? AND ?"
_APPEND: Final = (
    f"INSERT INTO umbel_ready (id, expires_at, head, body) VALUES (coalesce(({NEXT_PLACE}), ?) + 1, ?, ?, ?)"  # noqa: S608
)
_READY: Final = "INSERT INTO umbel_ready (id, expires_at, head, body, body_id) VALUES (?, ?, ?, ?, ?)"
_DELAYED: Final = "INSERT INTO umbel_delayed (region, due, expires_at, head, body, body_id) VALUES (?, ?, ?, ?, ?, ?)"


class Ringer:
    """Collects who is to be woken after a commit: of each queue no more consumers than it has new messages."""

    def __init__(self, bell: Doorbell) -> None:
        self._bell = bell
        self._counts: dict[str, int] = {}

    def add(self, topic: str, count: int = 1) -> None:
        """Have up to *count* more consumers of *topic* woken."""
        self._counts[topic] = self._counts.get(topic, 0) + count

    def __call__(self) -> None:
        for topic, count in self._counts.items():
            self._bell.ring((topic,), at_most=count)


def publish_one(connection: Connection, topology: Topology, publication: Publication, timeout_s: float) -> str | None:
    """Publish the plain case in one statement, without a transaction around it; return whose consumers to wake.

    ``None``: it is not the plain case, and nothing was done.
    """
    target = topology.remembered(publication)
    if target is None or publication.deliver_at is not None or len(publication.message.body) > BIG_BODY:
        return None
    first, last = places.bounds(places.region(target.number, publication.priority or 0))
    row = (first, last, first, publication.expires_at, heads.encode(publication), publication.message.body)
    connection.retrying(lambda: connection.execute(_APPEND, row), timeout_s)
    return target.topic


def publish(
    connection: Connection, topology: Topology, publications: Sequence[Publication], bell: Doorbell
) -> Callable[[], None]:
    """Publish inside a write transaction; return what wakes the consumers, to be called after the commit."""
    topology.refresh(connection)
    batch = _Batch(connection, Ringer(bell))
    last: Publication | None = None
    targets: Sequence[Target] = ()
    for publication in publications:
        # Batches mostly go to one place.
        if (
            last is None
            or publication.queue is not last.queue
            or publication.exchange != last.exchange
            or publication.routing_key != last.routing_key
        ):
            targets = topology.route(connection, publication)
            last = publication
        for target in targets:
            batch.add(publication, target)
    batch.write()
    return batch.ringer


class _Region:
    """The end of a region, where this batch appends."""

    __slots__ = ("first", "next", "target")

    def __init__(self, connection: Connection, number: int, target: Target) -> None:
        first, last = places.bounds(number)
        self.first = self.next = (connection.execute(NEXT_PLACE, (first, last)).fetchone()[0] or first) + 1
        self.target = target


class _Batch:
    """Rows on their way into the tables."""

    def __init__(self, connection: Connection, ringer: Ringer) -> None:
        self._connection = connection
        self._now = time.time()
        self._ready: list[tuple[Any, ...]] = []
        self._delayed: list[tuple[Any, ...]] = []
        self._regions: dict[int, _Region] = {}
        self.ringer = ringer

    def add(self, publication: Publication, target: Target) -> None:
        body: bytes | None = publication.message.body
        body_id: int | None = None
        if len(publication.message.body) > BIG_BODY:
            insert = self._connection.execute("INSERT INTO umbel_bodies (body) VALUES (?)", (body,))
            body, body_id = None, insert.lastrowid
        expires_at = publication.expires_at
        if target.message_ttl_s is not None:
            expires_at = min(self._now + target.message_ttl_s, math.inf if expires_at is None else expires_at)
        content = (expires_at, heads.encode(publication), body, body_id)
        number = places.region(target.number, publication.priority or 0)
        due = publication.deliver_at
        if due is not None and due > self._now:
            self._delayed.append((number, due, *content))
            if due < self._now + LOOK_AGAIN_S:
                # Each of them may have meant to sleep longer than this is to wait.
                self.ringer.add(target.topic, 1 << 16)
            return
        region = self._regions.get(number)
        if region is None:
            region = self._regions[number] = _Region(self._connection, number, target)
        self._ready.append((region.next, *content))
        region.next += 1

    def write(self) -> None:
        if self._ready:
            self._connection.executemany(_READY, self._ready)
        if self._delayed:
            self._connection.executemany(_DELAYED, self._delayed)
        for region in self._regions.values():
            self.ringer.add(region.target.topic, region.next - region.first)
            if region.target.max_length is not None:
                _drop_oldest(self._connection, region.target)


def _drop_oldest(connection: Connection, target: Target) -> None:
    """Hold a queue to its ``max_length``, as AMQP does: what waits longest goes."""
    first, last = places.queue_bounds(target.number)
    waiting = connection.execute("SELECT count(*) FROM umbel_ready WHERE id BETWEEN ? AND ?", (first, last))
    excess = waiting.fetchone()[0] - (target.max_length or 0)
    if excess > 0:
        drop_ready(connection, first, last, excess)


def drop_ready(connection: Connection, first: int, last: int, limit: int) -> int:
    """Remove up to *limit* of the first messages between two places, with their bodies; return how many."""
    row = connection.execute(
        "SELECT count(*), max(id), count(body_id) FROM "
        "(SELECT id, body_id FROM umbel_ready WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?)",
        (first, last, limit),
    ).fetchone()
    count, end, bodies = row
    if bodies:
        connection.execute(
            "DELETE FROM umbel_bodies WHERE id IN (SELECT body_id FROM umbel_ready WHERE id BETWEEN ? AND ?)",
            (first, end),
        )
    if count:
        connection.execute("DELETE FROM umbel_ready WHERE id BETWEEN ? AND ?", (first, end))
    return int(count)
