"""Hands messages out and takes them back: the statements behind consumers and settlements.

A claim deletes a batch from ``ready`` and enters it into ``claimed`` under a number that is never used again, in one
statement. Settling names owner and number, so that a settlement that comes late, or twice, can never touch what was
handed out since.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from umbel.model import Delivery, Settlement
from umbel_library_heads import heads
from umbel_library_postgres import Link
from umbel_transport_postgres.publishing import LOOK_AGAIN_S
from umbel_transport_postgres.topology import channel_of

__all__ = ["Hints", "claim", "count_held", "notify", "promote", "settle"]

#: Owner and number of the claim.
Tag = tuple[int, int]
#: (queue, rank) -> the place before which nothing is expected.
Hints = dict[tuple[int, int], int]

_RANKS: Final = range(20)
_PROMOTED_AT_ONCE: Final = 1000

#: The owner's row is locked while it claims: nobody buries it in between, and one that is buried claims nothing.
#: Within a rank the index is read from a place on, so that nobody walks over what was taken before him.
_CLAIM: Final = """
WITH me AS MATERIALIZED (SELECT no FROM SCHEMA.owners WHERE no = %s::bigint FOR KEY SHARE),
taken AS (
    DELETE FROM SCHEMA.ready WHERE ctid = ANY(ARRAY(
        SELECT r.id FROM me, unnest(%s::int[], %s::smallint[], %s::bigint[]) AS h(queue, rank, place)
        CROSS JOIN LATERAL (
            SELECT m.ctid AS id FROM SCHEMA.ready m
            WHERE m.queue = h.queue AND m.rank = h.rank AND m.place >= h.place
                AND (m.expires_at IS NULL OR m.expires_at > extract(epoch FROM now()))
            ORDER BY m.place LIMIT %s::bigint FOR UPDATE SKIP LOCKED
        ) AS r LIMIT %s::bigint))
    RETURNING queue, rank, place, count, expires_at, head, body
)
INSERT INTO SCHEMA.claimed (owner, id, queue, rank, place, count, expires_at, head, body)
SELECT me.no, nextval('SCHEMA.claims'), t.queue, t.rank, t.place, t.count + 1, t.expires_at, t.head, t.body
FROM me, taken t
RETURNING id, queue, rank, place, count, head, body
"""
_DONE: Final = "DELETE FROM SCHEMA.claimed WHERE owner = %s::bigint AND id = ANY(%s::bigint[])"
_GIVE_BACK: Final = """
WITH back AS (DELETE FROM SCHEMA.claimed WHERE owner = %s::bigint AND id = ANY(%s::bigint[]) RETURNING *),
stored AS (
    INSERT INTO SCHEMA.ready (queue, rank, place, count, expires_at, head, body)
    SELECT queue, rank - rank %% 2, place, greatest(count - %s::int, 0), expires_at, head, body FROM back
)
SELECT DISTINCT queue FROM back
"""
_PUT_OFF: Final = """
WITH back AS (DELETE FROM SCHEMA.claimed WHERE owner = %s::bigint AND id = ANY(%s::bigint[]) RETURNING *),
stored AS (
    INSERT INTO SCHEMA.delayed (queue, rank, place, count, expires_at, head, body, due)
    SELECT queue, rank, place, greatest(count - %s::int, 0), expires_at, head, body, %s::float8 FROM back
)
SELECT DISTINCT queue FROM back
"""
_NOTIFY: Final = "SELECT pg_notify(n.channel, %s)::text FROM unnest(%s::text[]) AS n(channel)"
_PROMOTE: Final = """
WITH due AS (
    DELETE FROM SCHEMA.delayed WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM SCHEMA.delayed WHERE due <= extract(epoch FROM now()) ORDER BY due, place
        LIMIT %s FOR UPDATE SKIP LOCKED))
    RETURNING *
),
stored AS (
    INSERT INTO SCHEMA.ready (queue, rank, place, count, expires_at, head, body)
    SELECT d.queue, d.rank | 1, nextval('SCHEMA.places'), d.count, d.expires_at, d.head, d.body
    FROM (SELECT * FROM due ORDER BY due, place) AS d
)
SELECT queue, count(*) FROM due GROUP BY queue
"""
_NEXT_DUE: Final = "SELECT (min(due) - extract(epoch FROM now()))::float8 FROM SCHEMA.delayed"
_HELD: Final = "SELECT count(*) FROM SCHEMA.claimed WHERE owner = %s"


def claim(link: Link, owner: int, queues: Mapping[int, str], limit: int, hints: Hints) -> list[Delivery]:
    """Take up to *limit* messages from *queues* (number -> name), the first queue's first."""
    probes = [(number, rank, hints.get((number, rank), 0)) for number in queues for rank in _RANKS]
    columns = ["{" + ",".join(map(str, column)) + "}" for column in zip(*probes, strict=True)]
    rows = link.rows(_CLAIM, (owner, *columns, limit, limit))
    order = {number: index for index, number in enumerate(queues)}
    rows.sort(key=lambda row: (order[row[1]], row[2], row[3]))
    hints.clear()
    if len(rows) == limit:
        # There may be more behind; what was given back (even ranks) is always looked for from the beginning.
        hints.update({(row[1], row[2]): row[3] + 1 for row in rows if row[2] % 2})
    return [_delivery(row, queues[row[1]], owner) for row in rows]


def _delivery(row: Sequence[Any], queue: str, owner: int) -> Delivery:
    number, _, rank, _, count, head, body = row
    message, exchange, routing_key, problem = heads.decode(head, body)
    return Delivery(
        message, queue, (owner, number), exchange, routing_key or queue, 9 - rank // 2, count, count > 1, problem
    )


def settle(link: Link, settlement: Settlement) -> None:
    """Carry out *settlement*. Deliveries that are not (or no longer) claimed as they say are passed over."""
    for owner, ids in _by_owner([*settlement.acks, *settlement.rejects]).items():
        link.send(_DONE, (owner, ids))
    if settlement.requeues:
        due = settlement.requeue_at
        waits = due is not None and due > time.time()
        queues: set[int] = set()
        for owner, ids in _by_owner(settlement.requeues).items():
            uncounted = int(settlement.uncounted)
            if waits:
                found = link.rows(_PUT_OFF, (owner, ids, uncounted, due))
            else:
                found = link.rows(_GIVE_BACK, (owner, ids, uncounted))
            queues.update(row[0] for row in found)
        if not waits:
            notify(link, queues)
        elif due is not None and due < time.time() + 2 * LOOK_AGAIN_S:
            notify(link, queues, "due")


def notify(link: Link, queues: Iterable[int], payload: str = "") -> None:
    """Wake the consumers of *queues*."""
    channels = [channel_of(link.schema, number) for number in queues]
    if channels:
        link.send(_NOTIFY, (payload, channels))


def promote(link: Link) -> float | None:
    """Move what is due to its queue's end, of all queues; return in how many seconds there is more to move."""
    found = link.rows(_PROMOTE, (_PROMOTED_AT_ONCE,))
    notify(link, [row[0] for row in found])
    if sum(row[1] for row in found) >= _PROMOTED_AT_ONCE:
        return 0.0
    left_s: float | None = link.rows(_NEXT_DUE)[0][0]
    return left_s


def count_held(link: Link, owner: int) -> int:
    """Return how many messages *owner* holds."""
    return int(link.rows(_HELD, (owner,))[0][0])


def _by_owner(deliveries: Sequence[Delivery]) -> dict[int, str]:
    """Return owner -> the numbers of its claims, as the text of an array."""
    found: dict[int, list[int]] = {}
    for delivery in deliveries:
        owner, number = delivery.tag
        found.setdefault(owner, []).append(number)
    return {owner: "{" + ",".join(map(str, sorted(numbers))) + "}" for owner, numbers in sorted(found.items())}
