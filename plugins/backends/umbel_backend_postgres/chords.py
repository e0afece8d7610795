"""Counts a chord's members in: the statements, inside of a transaction.

The members are a set: a part that comes again, from a task that was delivered twice, finds its row and is not counted.
The chord's own row is locked first, so that the parts of one chord come one after the other, whoever brings them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from umbel.model import ChordPart, JoinedChord
from umbel_library_postgres import Link

__all__ = ["conclude", "join"]

#: How long a joined chord is kept for a repetition of its completing part, if its parts name no time.
_KEPT_S: Final = 86400.0

_OPEN: Final = """
INSERT INTO SCHEMA.chords AS c (group_id, body, expires_at)
VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s::float8))
ON CONFLICT (group_id) DO UPDATE SET arrived = c.arrived
RETURNING size, arrived, completed_by, body
"""
_ENTER: Final = """
INSERT INTO SCHEMA.chord_parts (group_id, task_id, place, state, payload)
SELECT %s, m.task_id, m.place, m.state, m.payload
FROM unnest(%s::text[], %s::int[], %s::text[], %b::bytea[]) AS m(task_id, place, state, payload)
ON CONFLICT DO NOTHING RETURNING task_id
"""
_COUNT: Final = """
UPDATE SCHEMA.chords SET size = %s::int, arrived = %s::int, completed_by = %s::text,
    expires_at = CASE WHEN %s::text IS NULL THEN expires_at
        ELSE coalesce(expires_at, clock_timestamp() + make_interval(secs => %s::float8)) END
WHERE group_id = %s
"""
_PARTS: Final = """
SELECT task_id, place, state, payload FROM SCHEMA.chord_parts WHERE group_id = %s ORDER BY place NULLS LAST, entry
"""
#: No task has an empty id. The row stays, so that a late part does not open the chord anew.
_CONCLUDE: Final = (
    "UPDATE SCHEMA.chords SET completed_by = '', body = '' WHERE group_id = ANY(%s::text[])",
    "DELETE FROM SCHEMA.chord_parts WHERE group_id = ANY(%s::text[])",
)


def join(link: Link, parts: Sequence[ChordPart]) -> list[JoinedChord]:
    """Count *parts* in and return the chords that are now complete, each once."""
    groups: dict[str, list[ChordPart]] = {}
    for part in parts:
        groups.setdefault(part.group_id, []).append(part)
    joined = [_join_one(link, group_id, groups[group_id]) for group_id in sorted(groups)]
    return [chord for chord in joined if chord is not None]


def conclude(link: Link, group_ids: Sequence[str]) -> None:
    """Let nobody have these chords any more: what follows them was sent."""
    if group_ids:
        for statement in _CONCLUDE:
            link.send(statement, (sorted(group_ids),))


def _join_one(link: Link, group_id: str, parts: Sequence[ChordPart]) -> JoinedChord | None:
    size, arrived, completed_by, body = link.rows(_OPEN, (group_id, parts[0].body, parts[0].expires_s))[0]
    if completed_by == "":
        return None
    each = {part.task_id: part for part in reversed(parts)}
    values = list(each.values())
    places = "{" + ",".join(["NULL" if part.index is None else str(part.index) for part in values]) + "}"
    entered = link.rows(
        _ENTER, (group_id, list(each), places, [part.state for part in values], [part.payload for part in values])
    )
    new = {row[0] for row in entered}
    for part in parts:
        if part.task_id in new:
            new.discard(part.task_id)
            arrived += 1 - part.extra  # members that were added while it ran are still to come
        # Not only for a part that is new: its repetition may be the one that tells the size.
        size = part.size if size is None else size
        if completed_by is None and size is not None and arrived >= size:
            completed_by = part.task_id
    link.send(_COUNT, (size, arrived, completed_by, completed_by, _KEPT_S, group_id))
    if completed_by not in each:
        return None
    found = [
        ChordPart(group_id, task_id, place, state, payload, body, size, parts[0].expires_s)
        for task_id, place, state, payload in link.rows(_PARTS, (group_id,))
    ]
    return JoinedChord(group_id, found, body)
