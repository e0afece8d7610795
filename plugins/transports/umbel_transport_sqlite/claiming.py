"""Hands messages out and takes them back: the statements behind consumers and settlements.

All functions run inside a write transaction, unless they say otherwise. A claim carries a token: the number of its
owner (high bits) and of the claim. Settling names row and token, so that a settlement that comes late, or twice, can
never touch what was handed out since.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from umbel.model import Delivery, Settlement
from umbel.sqlite_file import Connection
from umbel_library_heads import heads
from umbel_transport_sqlite import places
from umbel_transport_sqlite.publishing import NEXT_PLACE, Ringer
from umbel_transport_sqlite.topology import topic_of

__all__ = ["OWNER_SHIFT", "Tag", "claim", "give_back", "held", "promote", "settle"]

OWNER_SHIFT: Final = 32
#: How many messages are moved from "delayed" to "ready" in one transaction.
_PROMOTED_AT_ONCE: Final = 1000
_SHORT_RUN: Final = 3

_COLUMNS: Final = "count, expires_at, head, body, body_id"
_SELECT: Final = (
    "SELECT id, count, expires_at, head, "
    "CASE WHEN body_id IS NULL THEN body ELSE (SELECT b.body FROM umbel_bodies b WHERE b.id = body_id) END, body_id "
    "FROM umbel_ready WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
)
_CLAIM: Final = (
    "INSERT INTO umbel_claimed (token, region, count, expires_at, head, body, body_id) "  # noqa: S608
    f"SELECT ?, id >> {places.NUMBER_BITS} | 1, count + 1, expires_at, head, body, body_id FROM umbel_ready "
    "WHERE id BETWEEN ? AND ? AND (expires_at IS NULL OR expires_at > ?) ORDER BY id"
)
_GIVE_BACK: Final = (
    f"INSERT INTO umbel_ready (id, {_COLUMNS}) "  # noqa: S608
    "SELECT coalesce((SELECT max(r.id) FROM umbel_ready r WHERE r.id BETWEEN "
    f"(c.region - 1) << {places.NUMBER_BITS} AND (c.region << {places.NUMBER_BITS}) - 1), "
    f"(c.region - 1) << {places.NUMBER_BITS}) + 1, max(count - ?, 0), expires_at, head, body, body_id "
    "FROM umbel_claimed c WHERE id = ? AND token = ?"
)
_PUT_OFF: Final = (
    f"INSERT INTO umbel_delayed (region, due, {_COLUMNS}) "  # noqa: S608
    "SELECT region, ?, max(count - ?, 0), expires_at, head, body, body_id FROM umbel_claimed WHERE id = ? AND token = ?"
)
_DELETE: Final = "DELETE FROM umbel_claimed WHERE id = ? AND token = ?"
_DELETE_RUN: Final = "DELETE FROM umbel_claimed WHERE id BETWEEN ? AND ? AND token = ?"
_DELETE_BODY: Final = (
    "DELETE FROM umbel_bodies WHERE id = (SELECT body_id FROM umbel_claimed WHERE id = ? AND token = ?)"
)


#: The tag of a delivery: row, token, number of the queue, whether the body stands apart.
Tag = tuple[int, int, int, bool]


def claim(connection: Connection, queue: int, name: str, limit: int, token: int) -> list[Delivery]:
    """Take up to *limit* messages from *queue*. What has expired is dropped, and does not count."""
    first, last = places.queue_bounds(queue)
    now = time.time()
    while rows := connection.execute(_SELECT, (first, last, limit)).fetchall():
        end = rows[-1][0]
        # Rows of one statement get neighbouring numbers.
        last_row = connection.execute(_CLAIM, (token, rows[0][0], end, now)).lastrowid or 0
        connection.execute("DELETE FROM umbel_ready WHERE id BETWEEN ? AND ?", (rows[0][0], end))
        fresh = [row for row in rows if row[2] is None or row[2] > now]
        if len(fresh) < len(rows):
            _drop_bodies(connection, (row[5] for row in rows if row[2] is not None and row[2] <= now))
        if fresh:
            return [
                _delivery(row, name, (tag, token, queue, row[5] is not None))
                for tag, row in enumerate(fresh, last_row - len(fresh) + 1)
            ]
    return []


def settle(connection: Connection, settlement: Settlement, ringer: Ringer) -> None:
    """Carry out *settlement*. Deliveries that are not (or no longer) claimed as they say are passed over."""
    if settlement.acks:
        _remove(connection, settlement.acks)
    if settlement.rejects:
        _remove(connection, settlement.rejects)
    if settlement.requeues:
        tags = sorted(delivery.tag for delivery in settlement.requeues)
        due = settlement.requeue_at
        give_back(connection, tags, ringer, due=due, uncounted=settlement.uncounted)


def give_back(
    connection: Connection,
    tags: Iterable[Tag],
    ringer: Ringer,
    *,
    due: float | None = None,
    uncounted: bool = False,
) -> None:
    """Put claimed messages at the front of their queues, in the order of *tags*, or aside until *due*."""
    waits = due is not None and due > time.time()
    for row, token, queue, _ in tags:
        if waits:
            moved = connection.execute(_PUT_OFF, (due, int(uncounted), row, token))
        else:
            moved = connection.execute(_GIVE_BACK, (int(uncounted), row, token))
        if moved.rowcount:
            connection.execute(_DELETE, (row, token))
            ringer.add(topic_of(queue))


def held(connection: Connection, owner: int) -> list[Tag]:
    """Return what *owner* holds. Needs no transaction; reads the whole table of what is claimed."""
    rows = connection.read(
        "SELECT id, token, region, body_id IS NOT NULL FROM umbel_claimed WHERE token BETWEEN ? AND ? ORDER BY id",
        (owner << OWNER_SHIFT, (owner + 1 << OWNER_SHIFT) - 1),
    )
    return [(row, token, places.queue_of(region), bool(big)) for row, token, region, big in rows]


def promote(connection: Connection, ringer: Ringer) -> None:
    """Move what is due to its queue's end, of all queues."""
    rows = connection.execute(
        "SELECT id, region FROM umbel_delayed WHERE due <= ? ORDER BY due, id LIMIT ?", (time.time(), _PROMOTED_AT_ONCE)
    ).fetchall()
    following: dict[int, int] = {}
    for _, region in rows:
        if region not in following:
            first, last = places.bounds(region)
            following[region] = (connection.execute(NEXT_PLACE, (first, last)).fetchone()[0] or first) + 1
    moves = []
    for row, region in rows:
        moves.append((following[region], row))
        following[region] += 1
        ringer.add(topic_of(places.queue_of(region)))
    connection.executemany(
        f"INSERT INTO umbel_ready (id, {_COLUMNS}) SELECT ?, {_COLUMNS} FROM umbel_delayed WHERE id = ?",  # noqa: S608
        moves,
    )
    connection.executemany("DELETE FROM umbel_delayed WHERE id = ?", [(row,) for row, _ in rows])


def _delivery(row: Sequence[Any], queue: str, tag: Tag) -> Delivery:
    place, count, _, head, body, _ = row
    message, exchange, routing_key, problem = heads.decode(head, body)
    priority = places.priority_of(place >> places.NUMBER_BITS)
    return Delivery(message, queue, tag, exchange, routing_key or queue, priority, count + 1, count > 0, problem)


def _remove(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    tags: list[Tag] = sorted(delivery.tag for delivery in deliveries)
    big = [(row, token) for row, token, _, is_big in tags if is_big]
    if big:
        connection.executemany(_DELETE_BODY, big)
    single: list[tuple[int, int]] = []
    for first, last, token in _runs(tags):
        # Neighbours of one claim go in one statement.
        if last - first > _SHORT_RUN:
            connection.execute(_DELETE_RUN, (first, last, token))
        else:
            single.extend((row, token) for row in range(first, last + 1))
    if single:
        connection.executemany(_DELETE, single)


def _runs(tags: Sequence[Tag]) -> Iterator[tuple[int, int, int]]:
    """Yield first row, last row and token of each run of neighbouring rows of one claim in sorted *tags*."""
    start, token = tags[0][0], tags[0][1]
    previous = start - 1
    for row, its_token, _, _ in tags:
        if row != previous + 1 or its_token != token:
            yield start, previous, token
            start, token = row, its_token
        previous = row
    yield start, previous, token


def _drop_bodies(connection: Connection, ids: Iterable[int | None]) -> None:
    connection.executemany("DELETE FROM umbel_bodies WHERE id = ?", [(body,) for body in ids if body is not None])
