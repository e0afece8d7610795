"""Empties and deletes queues."""

from __future__ import annotations

import time
from typing import Final

from umbel.sqlite_file import Connection, transaction
from umbel_transport_sqlite import places
from umbel_transport_sqlite.publishing import drop_ready
from umbel_transport_sqlite.topology import touch

__all__ = ["count", "delete_queue", "delete_unused", "purge"]

#: How much is removed in one transaction, so that others need not wait long.
_AT_ONCE: Final = 10_000

_UNUSED: Final = (
    "SELECT no FROM umbel_queues q WHERE is_declared AND expires_s IS NOT NULL AND used_at + expires_s < ? "
    "AND NOT EXISTS (SELECT 1 FROM umbel_consumers c WHERE c.queue = q.no)"
)


def count(connection: Connection, queue: int) -> int:
    """Return how many messages wait in *queue*, due or not. A fresh region is measured, not counted."""
    first, last = places.queue_bounds(queue)
    total = 0
    while True:
        found = connection.read("SELECT min(id) FROM umbel_ready WHERE id BETWEEN ? AND ?", (first, last))[0][0]
        if found is None:
            break
        region = found >> places.NUMBER_BITS
        start, end = places.bounds(region)
        if places.is_fresh(region):
            last_place = connection.read("SELECT max(id) FROM umbel_ready WHERE id BETWEEN ? AND ?", (start, end))
            total += (last_place[0][0] or found) - found + 1
        else:
            given_back = connection.read("SELECT count(*) FROM umbel_ready WHERE id BETWEEN ? AND ?", (start, end))
            total += given_back[0][0]
        first = end + 1
    low, high = first_and_last_region(queue)
    delayed = connection.read("SELECT count(*) FROM umbel_delayed WHERE region BETWEEN ? AND ?", (low, high))
    return total + int(delayed[0][0])


def first_and_last_region(queue: int) -> tuple[int, int]:
    """Return the numbers of the first and the last region of *queue*."""
    first, last = places.queue_bounds(queue)
    return first >> places.NUMBER_BITS, last >> places.NUMBER_BITS


def purge(connection: Connection, queue: int) -> int:
    """Drop what waits in *queue*, a portion a transaction; return how many that were."""
    total = 0
    while True:
        with transaction(connection):
            dropped = _drop(connection, queue, _AT_ONCE)
        if not dropped:
            return total
        total += dropped


def delete_queue(connection: Connection, queue: int) -> None:
    """Delete *queue*, its bindings and what waits in it, inside a write transaction. Its number stays its own."""
    while _drop(connection, queue, _AT_ONCE):
        pass
    connection.execute("DELETE FROM umbel_bindings WHERE queue = ?", (queue,))
    connection.execute("UPDATE umbel_queues SET is_declared = 0, used_at = ? WHERE no = ?", (time.time(), queue))
    touch(connection)


def delete_unused(connection: Connection) -> None:
    """Delete the queues that nobody has consumed from for their ``expires_s``. Only reads when there is none."""
    if connection.read(_UNUSED, (time.time(),)):
        with transaction(connection):
            for row in connection.execute(_UNUSED, (time.time(),)).fetchall():
                delete_queue(connection, row[0])


def _drop(connection: Connection, queue: int, limit: int) -> int:
    first, last = places.queue_bounds(queue)
    dropped = drop_ready(connection, first, last, limit)
    if dropped:
        return dropped
    rows = connection.execute(
        "SELECT id, body_id FROM umbel_delayed WHERE region BETWEEN ? AND ? LIMIT ?",
        (*first_and_last_region(queue), limit),
    ).fetchall()
    connection.executemany("DELETE FROM umbel_bodies WHERE id = ?", [(row[1],) for row in rows if row[1] is not None])
    connection.executemany("DELETE FROM umbel_delayed WHERE id = ?", [(row[0],) for row in rows])
    return len(rows)
