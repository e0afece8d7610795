"""The statements about results and groups. Each takes the connection, so that it may run in anybody's transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from umbel.exceptions import BackendGetMetaError
from umbel.model import TaskMeta
from umbel.sqlite_file import Connection, transaction
from umbel.states import SUCCESS

__all__ = ["expire", "forget", "load", "load_final", "load_group", "save_group", "topic_of", "write"]

#: How many ids one statement asks for, and how many rows one transaction of :func:`expire` removes.
_ASKED_AT_ONCE: Final = 500
_REMOVED_AT_ONCE: Final = 2000

#: ``TaskMeta.may_replace``, said by the database: whoever comes second is refused whichever process he is in.
_WRITE: Final = f"""
INSERT INTO umbel_results (task_id, state, is_final, attempt, expires_at, content_type, content_encoding, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (task_id) DO UPDATE SET
    state = excluded.state, is_final = excluded.is_final, attempt = excluded.attempt, expires_at = excluded.expires_at,
    content_type = excluded.content_type, content_encoding = excluded.content_encoding, payload = excluded.payload
WHERE umbel_results.expires_at <= ? OR (
    umbel_results.state <> '{SUCCESS}'
    AND excluded.attempt >= umbel_results.attempt + umbel_results.is_final
)
"""  # noqa: S608
_READ: Final = (
    "SELECT task_id, state, attempt, expires_at, content_type, content_encoding, payload FROM umbel_results "
    "WHERE (expires_at IS NULL OR expires_at > ?) AND "
)


def topic_of(task_id: str) -> str:
    """Return what those who wait for the result of *task_id* listen for."""
    return f"r:{task_id}"


def write(connection: Connection, metas: Sequence[TaskMeta]) -> None:
    """Write *metas* in order, in one statement if it is one, else inside the caller's transaction."""
    now = time.time()
    rows = [
        (
            meta.task_id,
            meta.state,
            meta.is_final,
            meta.attempt,
            None if meta.expires_s is None else now + meta.expires_s,
            meta.content_type,
            meta.content_encoding,
            meta.payload,
            now,
        )
        for meta in metas
    ]
    if len(rows) == 1:
        connection.execute(_WRITE, rows[0])
    else:
        connection.executemany(_WRITE, rows)


def load(connection: Connection, ids: Sequence[str]) -> list[TaskMeta | None]:
    """Return what is stored of each of *ids*, in order."""
    found = {meta.task_id: meta for meta in _select(connection, ids, "task_id IN ({})")}
    return [found.get(task_id) for task_id in ids]


def load_final(connection: Connection, ids: Sequence[str]) -> list[TaskMeta]:
    """Return those of *ids* that are final."""
    return list(_select(connection, ids, "is_final AND task_id IN ({})"))


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Remove what is stored of *ids*."""
    connection.executemany("DELETE FROM umbel_results WHERE task_id = ?", [(task_id,) for task_id in ids])


def save_group(connection: Connection, group_id: str, payload: bytes | None, expires_s: float | None) -> None:
    """Keep, replace or (``None``) remove the payload of a group."""
    if payload is None:
        connection.execute("DELETE FROM umbel_groups WHERE group_id = ?", (group_id,))
        return
    expires_at = None if expires_s is None else time.time() + expires_s
    connection.execute("INSERT OR REPLACE INTO umbel_groups VALUES (?, ?, ?)", (group_id, payload, expires_at))


def load_group(connection: Connection, group_id: str) -> bytes | None:
    """Return the payload of a group."""
    rows = connection.read(
        "SELECT payload FROM umbel_groups WHERE group_id = ? AND (expires_at IS NULL OR expires_at > ?)",
        (group_id, time.time()),
    )
    return bytes(rows[0][0]) if rows else None


def expire(connection: Connection, before: float) -> int:
    """Remove what was over at *before*, a portion a transaction; return how many results that were."""
    removed = 0
    statement = (
        "DELETE FROM umbel_results WHERE rowid IN (SELECT rowid FROM umbel_results WHERE expires_at <= ? LIMIT ?)"
    )
    while True:
        with transaction(connection):
            count = connection.execute(statement, (before, _REMOVED_AT_ONCE)).rowcount
        removed += count
        if count < _REMOVED_AT_ONCE:
            break
    with transaction(connection):
        connection.execute("DELETE FROM umbel_groups WHERE expires_at <= ?", (before,))
        connection.execute(
            "DELETE FROM umbel_chord_parts WHERE group_id IN (SELECT group_id FROM umbel_chords WHERE expires_at <= ?)",
            (before,),
        )
        connection.execute("DELETE FROM umbel_chords WHERE expires_at <= ?", (before,))
    return removed


def _select(connection: Connection, ids: Sequence[str], condition: str) -> Iterable[TaskMeta]:
    now = time.time()
    for start in range(0, len(ids), _ASKED_AT_ONCE):
        asked = ids[start : start + _ASKED_AT_ONCE]
        # Padded to a power of two with the last id again, so that few different statements are prepared.
        wanted = 1 << (len(asked) - 1).bit_length()
        values = [now, *asked, *[asked[-1]] * (wanted - len(asked))]
        statement = _READ + condition.format(", ".join("?" * wanted))
        for row in connection.read(statement, values):
            yield _meta(row, now)


def _meta(row: tuple[Any, ...], now: float) -> TaskMeta:
    task_id, state, attempt, expires_at, content_type, content_encoding, payload = row
    if not isinstance(payload, bytes):
        raise BackendGetMetaError(
            f"expected the stored result of {task_id} to be bytes, got {type(payload).__name__}: something else has "
            "written into the store; forget this result",
            task_id=task_id,
        )
    expires_s = None if expires_at is None else expires_at - now
    return TaskMeta(task_id, state, payload, content_type, content_encoding, attempt, expires_s)
