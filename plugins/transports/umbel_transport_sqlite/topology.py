"""Queues, exchanges and bindings: which queues a publication goes to.

A queue's name has one number as long as the store exists, or for a day after the queue was deleted, so that numbers
may be remembered for a while without looking.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from umbel.bindings import binding_matches
from umbel.exceptions import OperationalError
from umbel.model import Publication, Queue
from umbel.sqlite_file import Connection
from umbel_transport_sqlite import places

__all__ = ["Target", "Topology"]

_REMEMBERED_S: Final = 60.0
_TOMBSTONE_S: Final = 86400.0

#: Numbers of queues that were deleted long ago are free again, unless a publisher that had not heard of it used one.
_FORGET: Final = (
    "DELETE FROM umbel_queues WHERE NOT is_declared AND used_at < ? "  # noqa: S608
    "AND NOT EXISTS (SELECT 1 FROM umbel_ready "
    f"WHERE id BETWEEN no << {places.QUEUE_SHIFT} AND (no + 1 << {places.QUEUE_SHIFT}) - 1) "
    "AND NOT EXISTS (SELECT 1 FROM umbel_delayed "
    f"WHERE region BETWEEN no << {places.REGION_BITS} AND (no + 1 << {places.REGION_BITS}) - 1) "
    f"AND NOT EXISTS (SELECT 1 FROM umbel_claimed WHERE region >> {places.REGION_BITS} = no)"
)

_Key = tuple[str, str, str | None]


@attrs.frozen
class Target:
    """A queue to put a message into. *topic* is what its consumers listen for."""

    number: int
    topic: str
    message_ttl_s: float | None = None
    max_length: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether messages go in as they are."""
        return self.message_ttl_s is None and self.max_length is None


class Topology:
    """What one connection remembers of the store's queues and bindings. Used by one thread."""

    def __init__(self) -> None:
        self._routes: dict[_Key, tuple[Target, ...]] = {}
        self._version = -1
        self._forget_at = 0.0

    def remembered(self, publication: Publication) -> Target | None:
        """Return the one plain queue that *publication* goes to, if that is known without asking the store.

        Only for the default exchange, where the name decides; bindings may have changed.
        """
        key = _key(publication)
        if key[0] or time.monotonic() >= self._forget_at:
            return None
        targets = self._routes.get(key)
        return targets[0] if targets and targets[0].is_plain else None

    def refresh(self, connection: Connection) -> None:
        """Forget what others have changed since. Called inside the transaction that will use the routes."""
        version = connection.execute("SELECT version FROM umbel_topology").fetchone()[0]
        now = time.monotonic()
        if version != self._version or now >= self._forget_at:
            self._routes.clear()
            self._version = version
            self._forget_at = now + _REMEMBERED_S

    def forget(self) -> None:
        """Forget everything: the transaction in which it was learned was rolled back, or may be."""
        self._routes.clear()
        self._version = -1
        self._forget_at = 0.0

    def route(self, connection: Connection, publication: Publication) -> tuple[Target, ...]:
        """Return the queues for *publication*, inside a write transaction: a queue that is missing is made."""
        key = _key(publication)
        targets = self._routes.get(key)
        if targets is None:
            exchange, routing_key, name = key
            targets = tuple(_bound(connection, exchange, routing_key)) if exchange else ()
            if not targets and publication.queue is not None:
                self.declare(connection, [publication.queue])
                name = publication.queue.name
            if not targets and name is not None:
                targets = (_target(connection, number_of(connection, name)),)
            self._routes[key] = targets
        return targets

    def declare(self, connection: Connection, queues: Iterable[Queue]) -> None:
        """Make *queues* and their bindings inside a write transaction."""
        changed = False
        for queue in queues:
            number = number_of(connection, queue.name)
            changed |= _describe(connection, number, queue)
            for exchange, routing_key in ((queue.exchange, queue.routing_key), *queue.bindings):
                if exchange.name:
                    changed |= _bind(connection, exchange.name, exchange.kind, routing_key, number)
        if changed:
            touch(connection)
            self.forget()


def _key(publication: Publication) -> _Key:
    queue = publication.queue
    exchange = publication.exchange
    if queue is None:
        return exchange, publication.routing_key, None if exchange else publication.routing_key
    if exchange == queue.name and queue.exchange.kind == "direct":
        exchange = ""  # the exchange that a queue has for itself: its name is the address
    return exchange, publication.routing_key, queue.name


def number_of(connection: Connection, name: str) -> int:
    """Return the number of the queue *name*, giving it one inside a write transaction when it has none."""
    row = connection.execute("SELECT no, is_declared FROM umbel_queues WHERE name = ?", (name,)).fetchone()
    if row is not None:
        if not row[1]:
            connection.execute("UPDATE umbel_queues SET is_declared = 1 WHERE no = ?", (row[0],))
        return int(row[0])
    now = time.time()
    connection.execute(_FORGET, (now - _TOMBSTONE_S,))
    number = connection.execute("SELECT coalesce(max(no), 0) + 1 FROM umbel_queues").fetchone()[0]
    if number > places.LAST_QUEUE:
        number = connection.execute(
            "SELECT min(no) + 1 FROM umbel_queues q WHERE NOT EXISTS (SELECT 1 FROM umbel_queues WHERE no = q.no + 1)"
        ).fetchone()[0]
        if number > places.LAST_QUEUE:
            raise OperationalError(f"expected at most {places.LAST_QUEUE:,} queues, got one more: delete unused ones")
    connection.execute(
        "INSERT INTO umbel_queues (no, name, is_declared, used_at) VALUES (?, ?, 1, ?)", (number, name, now)
    )
    return int(number)


def find_numbers(connection: Connection, names: Sequence[str]) -> list[int | None]:
    """Return the number of each of *names*; ``None`` for the unknown."""
    found = [connection.read("SELECT no FROM umbel_queues WHERE name = ?", (name,)) for name in names]
    return [int(rows[0][0]) if rows else None for rows in found]


def touch(connection: Connection) -> None:
    """Tell everybody to forget the routes they remember."""
    connection.execute("UPDATE umbel_topology SET version = version + 1")


def topic_of(number: int) -> str:
    """Return what consumers of the queue *number* listen for."""
    return f"q:{number}"


def _bound(connection: Connection, exchange: str, routing_key: str) -> Iterable[Target]:
    numbers: dict[int, None] = {}
    for key, queue, kind in connection.execute(
        "SELECT routing_key, queue, kind FROM umbel_bindings WHERE exchange = ? ORDER BY queue", (exchange,)
    ):
        if binding_matches(kind, key, routing_key):
            numbers[queue] = None
    return [_target(connection, number) for number in numbers]


def _target(connection: Connection, number: int) -> Target:
    ttl, length = connection.execute(
        "SELECT message_ttl_s, max_length FROM umbel_queues WHERE no = ?", (number,)
    ).fetchone()
    return Target(number, topic_of(number), ttl, length)


def _describe(connection: Connection, number: int, queue: Queue) -> bool:
    wanted = (1, int(queue.auto_delete or queue.exclusive), queue.expires_s, queue.message_ttl_s, queue.max_length)
    found = connection.execute(
        "SELECT is_declared, auto_delete, expires_s, message_ttl_s, max_length FROM umbel_queues WHERE no = ?",
        (number,),
    ).fetchone()
    if queue.expires_s is not None or found != wanted:
        connection.execute(
            "UPDATE umbel_queues SET is_declared = ?, auto_delete = ?, expires_s = ?, message_ttl_s = ?, "
            "max_length = ?, used_at = ? WHERE no = ?",
            (*wanted, time.time(), number),
        )
    return bool(found != wanted)


def _bind(connection: Connection, exchange: str, kind: str, routing_key: str, number: int) -> bool:
    found = connection.execute(
        "SELECT kind FROM umbel_bindings WHERE exchange = ? AND routing_key = ? AND queue = ?",
        (exchange, routing_key, number),
    ).fetchone()
    if found == (kind,):
        return False
    connection.execute(
        "INSERT OR REPLACE INTO umbel_bindings (exchange, routing_key, queue, kind) VALUES (?, ?, ?, ?)",
        (exchange, routing_key, number, kind),
    )
    return True
