"""Puts messages into queues: one statement for a batch, however many queues it goes to."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, Final

from umbel.exceptions import OperationalError
from umbel.model import Publication
from umbel_library_heads import heads
from umbel_library_postgres import Link
from umbel_transport_postgres.topology import Topology, channel_of

__all__ = ["LOOK_AGAIN_S", "publish", "rank_of"]

#: Every consumer looks at the store at least this often, so nobody need be woken for what is due later than that.
LOOK_AGAIN_S: Final = 1.0
#: How often a batch is routed anew because others have changed queues or bindings meanwhile.
_TRIES: Final = 20

_READY: Final = """
WITH known AS MATERIALIZED (SELECT 1 FROM SCHEMA.topology WHERE version = %s::bigint),
stored AS (
    INSERT INTO SCHEMA.ready (queue, rank, place, expires_at, head, body)
    SELECT m.queue, m.rank, nextval('SCHEMA.places'), m.expires_at, m.head, m.body
    FROM known, unnest(%s::int[], %s::smallint[], %s::float8[], %b::bytea[], %b::bytea[])
        AS m(queue, rank, expires_at, head, body)
)
SELECT (SELECT count(*) FROM known),
    (SELECT count(pg_notify(n.channel, n.payload)::text) FROM known, unnest(%s::text[], %s::text[]) AS n(channel, payload))
"""
#: The same for one message, which is what costs the caller time.
_ONE: Final = """
INSERT INTO SCHEMA.ready (queue, rank, place, expires_at, head, body)
SELECT %s::int, %s::smallint, nextval('SCHEMA.places'), %s::float8, %b::bytea, %b::bytea
FROM SCHEMA.topology WHERE version = %s::bigint
RETURNING pg_notify(%s::text, '')::text
"""
_DELAYED: Final = """
WITH known AS MATERIALIZED (SELECT 1 FROM SCHEMA.topology WHERE version = %s::bigint),
stored AS (
    INSERT INTO SCHEMA.delayed (queue, rank, place, expires_at, head, body, due)
    SELECT m.queue, m.rank, nextval('SCHEMA.places'), m.expires_at, m.head, m.body, m.due
    FROM known, unnest(%s::int[], %s::smallint[], %s::float8[], %b::bytea[], %b::bytea[], %s::float8[])
        AS m(queue, rank, expires_at, head, body, due)
)
SELECT (SELECT count(*) FROM known),
    (SELECT count(pg_notify(n.channel, n.payload)::text) FROM known, unnest(%s::text[], %s::text[]) AS n(channel, payload))
"""
#: Holds a queue to its max_length, as AMQP does: what waits longest goes.
_SHORTEN: Final = """
DELETE FROM SCHEMA.ready WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM SCHEMA.ready WHERE queue = %s ORDER BY place
    LIMIT greatest((SELECT count(*) FROM SCHEMA.ready WHERE queue = %s) - %s, 0) FOR UPDATE SKIP LOCKED))
"""


def rank_of(priority: int | None) -> int:
    """Return the rank of a message that was never handed out."""
    return 2 * (9 - min(max(priority or 0, 0), 9)) + 1


class _Rows:
    """Columns on their way into one table."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self.queues: list[int] = []
        self.ranks: list[int] = []
        self.expiries: list[float | None] = []
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.dues: list[float] = []
        self.lengths: dict[int, int] = {}
        self.payloads: dict[str, str] = {}

    def note(self, number: int, payload: str) -> None:
        """Have the consumers of the queue *number* woken."""
        self.payloads[channel_of(self._schema, number)] = payload

    def values(self, version: int) -> tuple[Any, ...]:
        """Return the values for the statement, ``dues`` where there are any."""
        columns = [_ints(self.queues), _ints(self.ranks), _floats(self.expiries), self.heads, self.bodies]
        if self.dues:
            columns.append(_floats(self.dues))
        return (version, *columns, list(self.payloads), list(self.payloads.values()))


def publish(link: Link, topology: Topology, publications: Sequence[Publication]) -> None:
    """Publish all of *publications*, at once or not at all."""
    if not publications:
        return
    for _ in range(_TRIES):
        now = time.time()
        ready, delayed = _sorted(link, topology, publications, now)
        try:
            if len(ready.queues) == 1 and not delayed.queues and not ready.lengths:
                _write_one(link, topology, ready)
            elif not ready.queues:
                _write(link, topology, _DELAYED, delayed)
            elif not delayed.queues and not ready.lengths:
                _write(link, topology, _READY, ready)
            else:
                with link.transaction():
                    _write(link, topology, _READY, ready)
                    for number, length in ready.lengths.items():
                        link.change(_SHORTEN, (number, number, length))
                    if delayed.queues:
                        # Even if the routes have changed since the first half: both go the same way.
                        topology.version = link.rows("SELECT version FROM SCHEMA.topology")[0][0]
                        _write(link, topology, _DELAYED, delayed)
            return
        except _RoutesChangedError:
            topology.forget()
    raise OperationalError("queues and bindings are declared and deleted faster than a message can be published")


class _RoutesChangedError(Exception):
    """Nothing was written: the routes are of an older version."""


def _write(link: Link, topology: Topology, statement: str, rows: _Rows) -> None:
    if rows.queues and not link.rows(statement, rows.values(topology.version))[0][0]:
        raise _RoutesChangedError


def _write_one(link: Link, topology: Topology, rows: _Rows) -> None:
    expires_at = None if rows.expiries[0] is None else float(rows.expiries[0])
    values = (rows.queues[0], rows.ranks[0], expires_at, rows.heads[0], rows.bodies[0])
    if not link.rows(_ONE, (*values, topology.version, next(iter(rows.payloads)))):
        raise _RoutesChangedError


def _sorted(link: Link, topology: Topology, publications: Sequence[Publication], now: float) -> tuple[_Rows, _Rows]:
    """Route and encode; return what is ready and what is not due."""
    ready, delayed = _Rows(link.schema), _Rows(link.schema)
    for publication in publications:
        head = b""
        for target in topology.route(link, publication):
            head = head or heads.encode(publication)
            due = publication.deliver_at
            rows = ready if due is None or due <= now else delayed
            expires_at = publication.expires_at
            if target.message_ttl_s is not None:
                expires_at = min(now + target.message_ttl_s, math.inf if expires_at is None else expires_at)
            rows.queues.append(target.number)
            rows.ranks.append(rank_of(publication.priority))
            rows.expiries.append(expires_at)
            rows.heads.append(head)
            rows.bodies.append(publication.message.body)
            if rows is ready:
                rows.note(target.number, "")
                if target.max_length is not None:
                    rows.lengths[target.number] = target.max_length
            else:
                assert due is not None
                rows.dues.append(due)
                if due < now + 2 * LOOK_AGAIN_S:
                    rows.note(target.number, "due")
    return ready, delayed


def _ints(values: Sequence[int]) -> str:
    """Write an array as text: many times faster than the driver."""
    return "{" + ",".join(map(str, values)) + "}"


def _floats(values: Sequence[float | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else repr(value) for value in values]) + "}"
