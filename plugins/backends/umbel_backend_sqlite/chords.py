"""The statements that count a chord's members in. They run inside a write transaction.

The members are a set: a part that comes again, from a task that was delivered twice, finds its row and is not counted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from umbel.model import ChordPart, JoinedChord
from umbel.sqlite_file import Connection

__all__ = ["conclude", "join"]

#: How long a joined chord is kept for a repetition of its completing part, if its parts name no time.
_KEPT_S: Final = 86400.0


def join(connection: Connection, parts: Sequence[ChordPart]) -> list[JoinedChord]:
    """Count *parts* in and return the chords that are now complete, each once."""
    joined: dict[str, JoinedChord] = {}
    for part in parts:
        if _is_completing(connection, part) and part.group_id not in joined:
            joined[part.group_id] = _load(connection, part)
    return list(joined.values())


def conclude(connection: Connection, group_ids: Sequence[str]) -> None:
    """Let nobody have these chords any more: what follows them was sent."""
    for group_id in group_ids:
        # No task has an empty id. The row stays, so that a late part does not open the chord anew.
        connection.execute("UPDATE umbel_chords SET completed_by = '', body = x'' WHERE group_id = ?", (group_id,))
        connection.execute("DELETE FROM umbel_chord_parts WHERE group_id = ?", (group_id,))


def _is_completing(connection: Connection, part: ChordPart) -> bool:
    """Enter *part*; say whether it is the one that completes its chord, now or when it came first."""
    expires_at = None if part.expires_s is None else time.time() + part.expires_s
    connection.execute(
        "INSERT INTO umbel_chords (group_id, size, body, expires_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (group_id) DO UPDATE SET size = coalesce(size, excluded.size)",
        (part.group_id, part.size, part.body, expires_at),
    )
    entered = connection.execute(
        "INSERT OR IGNORE INTO umbel_chord_parts (group_id, task_id, place, state, payload) VALUES (?, ?, ?, ?, ?)",
        (part.group_id, part.task_id, part.index, part.state, part.payload),
    )
    if entered.rowcount:
        # Members that were added while it ran are still to come.
        arrived = (1 - part.extra, part.group_id)
        connection.execute("UPDATE umbel_chords SET arrived = arrived + ? WHERE group_id = ?", arrived)
    # Not only for a part that is new: its repetition may be the one that tells the size.
    connection.execute(
        "UPDATE umbel_chords SET completed_by = ?, expires_at = coalesce(expires_at, ?) "
        "WHERE group_id = ? AND completed_by IS NULL AND arrived >= size",
        (part.task_id, time.time() + _KEPT_S, part.group_id),
    )
    completed = connection.execute(
        "SELECT 1 FROM umbel_chords WHERE group_id = ? AND completed_by = ?", (part.group_id, part.task_id)
    )
    return completed.fetchone() is not None


def _load(connection: Connection, last: ChordPart) -> JoinedChord:
    """Return the chord that *last* completed, with its parts in the header's order."""
    body, size = connection.execute(
        "SELECT body, size FROM umbel_chords WHERE group_id = ?", (last.group_id,)
    ).fetchone()
    rows = connection.execute(
        "SELECT task_id, place, state, payload FROM umbel_chord_parts WHERE group_id = ? "
        "ORDER BY place IS NULL, place, rowid",
        (last.group_id,),
    )
    parts = [
        ChordPart(last.group_id, task_id, place, state, payload, body, size, last.expires_s)
        for task_id, place, state, payload in rows
    ]
    return JoinedChord(last.group_id, parts, body)
