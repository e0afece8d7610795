"""The statements about results and groups. Each takes the link, so that it may run in anybody's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from umbel.model import TaskMeta
from umbel.states import SUCCESS
from umbel_library_postgres import Link

__all__ = ["channel", "expire", "forget", "load", "load_final", "load_group", "save_group", "write"]

_REMOVED_AT_ONCE: Final = 5000
#: The server takes payloads of less than 8,000 bytes.
_PAYLOAD_BYTES: Final = 7900

#: ``TaskMeta.may_replace``, said by the database: whoever comes second is refused whichever process he is in. Rows are
#: locked in the order of their ids, so that two who write the same results do not wait for each other.
_WRITE: Final = f"""
WITH stored AS (
INSERT INTO SCHEMA.results AS r
    (task_id, state, is_final, attempt, expires_at, content_type, content_encoding, payload)
SELECT m.task_id, m.state, m.is_final, m.attempt, clock_timestamp() + make_interval(secs => m.expires_s),
    m.content_type, m.content_encoding, m.payload
FROM unnest(%s::text[], %s::text[], %s::bool[], %s::int[], %s::float8[], %s::text[], %s::text[], %b::bytea[])
    AS m(task_id, state, is_final, attempt, expires_s, content_type, content_encoding, payload)
ON CONFLICT (task_id) DO UPDATE SET
    state = excluded.state, is_final = excluded.is_final, attempt = excluded.attempt, expires_at = excluded.expires_at,
    content_type = excluded.content_type, content_encoding = excluded.content_encoding, payload = excluded.payload
WHERE r.expires_at <= clock_timestamp() OR (
    r.state <> '{SUCCESS}' AND excluded.attempt >= r.attempt + r.is_final::int
))
SELECT pg_notify('SCHEMA_results', n.payload)::text FROM unnest(%s::text[]) AS n(payload)
"""  # noqa: S608
_READ: Final = """
SELECT task_id, state, payload, content_type, content_encoding, attempt,
    extract(epoch FROM expires_at - clock_timestamp())::float8
FROM SCHEMA.results
WHERE task_id = ANY(%s::text[]) AND (expires_at IS NULL OR expires_at > clock_timestamp())
"""
_SAVE_GROUP: Final = """
INSERT INTO SCHEMA.groups VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s::float8))
ON CONFLICT (group_id) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at
"""
_LOAD_GROUP: Final = """
SELECT payload FROM SCHEMA.groups WHERE group_id = %s AND (expires_at IS NULL OR expires_at > clock_timestamp())
"""
_EXPIRE: Final = """
DELETE FROM SCHEMA.results WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM SCHEMA.results WHERE expires_at <= to_timestamp(%s::float8) LIMIT %s FOR UPDATE SKIP LOCKED))
"""
_EXPIRE_OTHERS: Final = (
    "DELETE FROM SCHEMA.groups WHERE expires_at <= to_timestamp(%s::float8)",
    """
    WITH gone AS (DELETE FROM SCHEMA.chords WHERE expires_at <= to_timestamp(%s::float8) RETURNING group_id)
    DELETE FROM SCHEMA.chord_parts p USING gone WHERE p.group_id = gone.group_id
    """,
)


def channel(schema: str) -> str:
    """Return the channel on which the ids of final results are told."""
    return f"{schema}_results"


def write(link: Link, metas: Sequence[TaskMeta]) -> None:
    """Write *metas* in order, in one statement if they name no task twice, else inside the caller's transaction.

    Who waits is told by the server when it is committed.
    """
    for batch in _without_repetitions(metas):
        payloads = _payloads([meta.task_id for meta in batch if meta.is_final])
        link.send(_WRITE, (*_columns(batch), payloads))


def _without_repetitions(metas: Sequence[TaskMeta]) -> Iterable[list[TaskMeta]]:
    """Yield *metas* in batches that name no task twice (one statement cannot write a row twice), sorted by id."""
    left = list(metas)
    while left:
        batch: dict[str, TaskMeta] = {}
        later: list[TaskMeta] = []
        for meta in left:
            if meta.task_id in batch:
                later.append(meta)
            else:
                batch[meta.task_id] = meta
        yield [batch[task_id] for task_id in sorted(batch)]
        left = later


def _columns(metas: Sequence[TaskMeta]) -> tuple[Any, ...]:
    expiries = ",".join(["NULL" if meta.expires_s is None else repr(float(meta.expires_s)) for meta in metas])
    return (
        [meta.task_id for meta in metas],
        [meta.state for meta in metas],
        "{" + ",".join(["t" if meta.is_final else "f" for meta in metas]) + "}",
        "{" + ",".join([str(meta.attempt) for meta in metas]) + "}",
        "{" + expiries + "}",
        [meta.content_type for meta in metas],
        [meta.content_encoding for meta in metas],
        [bytes(meta.payload) for meta in metas],
    )


def _payloads(ids: Sequence[str]) -> list[str]:
    """Return what tells everybody who waits that *ids* are final. An empty payload means: look."""
    payloads: list[str] = []
    lines: list[str] = []
    size = 0
    for task_id in ids:
        length = len(task_id.encode()) + 1
        if length > _PAYLOAD_BYTES or "\n" in task_id:
            payloads.append("")
            continue
        if size + length > _PAYLOAD_BYTES:
            payloads.append("\n".join(lines))
            lines, size = [], 0
        lines.append(task_id)
        size += length
    if lines:
        payloads.append("\n".join(lines))
    return payloads


def load(link: Link, ids: Sequence[str]) -> list[TaskMeta | None]:
    """Return what is stored of each of *ids*, in order."""
    found = {row[0]: TaskMeta(*row) for row in link.rows(_READ, (list(ids),))}
    return [found.get(task_id) for task_id in ids]


def load_final(link: Link, ids: Sequence[str]) -> list[TaskMeta]:
    """Return those of *ids* that are final."""
    return [TaskMeta(*row) for row in link.rows(_READ + " AND is_final", (list(ids),))]


def forget(link: Link, ids: Sequence[str]) -> None:
    """Remove what is stored of *ids*."""
    link.change("DELETE FROM SCHEMA.results WHERE task_id = ANY(%s::text[])", (sorted(ids),))


def save_group(link: Link, group_id: str, payload: bytes | None, expires_s: float | None) -> None:
    """Keep, replace or (``None``) remove the payload of a group."""
    if payload is None:
        link.change("DELETE FROM SCHEMA.groups WHERE group_id = %s", (group_id,))
    else:
        link.change(_SAVE_GROUP, (group_id, payload, expires_s))


def load_group(link: Link, group_id: str) -> bytes | None:
    """Return the payload of a group."""
    rows = link.rows(_LOAD_GROUP, (group_id,))
    return bytes(rows[0][0]) if rows else None


def expire(link: Link, before: float) -> int:
    """Remove what was over at *before*, a portion a transaction; return how many results that were."""
    removed = 0
    while True:
        count = link.change(_EXPIRE, (before, _REMOVED_AT_ONCE))
        removed += count
        if count < _REMOVED_AT_ONCE:
            break
    for statement in _EXPIRE_OTHERS:
        link.change(statement, (before,))
    return removed
