"""What is revoked, in a table whose numbers grow with time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from umbel.spi import Revocation
from umbel_library_postgres import Link

__all__ = ["read", "write"]

#: One writer at a time: so a number that is seen has no smaller one to come.
_LOCK: Final = "LOCK TABLE SCHEMA.revoked IN SHARE ROW EXCLUSIVE MODE"
_DROP: Final = """
DELETE FROM SCHEMA.revoked WHERE until <= clock_timestamp()
OR (header, value) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
"""
_INSERT: Final = """
INSERT INTO SCHEMA.revoked (header, value, until)
SELECT DISTINCT header, value, clock_timestamp() + make_interval(secs => %s)
FROM unnest(%s::text[], %s::text[]) AS new (header, value)
"""
_READ: Final = "SELECT no, header, value FROM SCHEMA.revoked WHERE no > %s AND until > clock_timestamp() ORDER BY no"


def write(link: Link, revocations: Sequence[Revocation], expires_s: float) -> None:
    """Keep *revocations*."""
    headers = [each.header or "" for each in revocations]
    values = [each.value for each in revocations]
    with link.transaction():
        link.change(_LOCK)
        link.change(_DROP, (headers, values))
        link.change(_INSERT, (expires_s, headers, values))


def read(link: Link, cursor: Any) -> tuple[Sequence[Revocation], Any]:
    """Return what was revoked since *cursor*."""
    rows = link.rows(_READ, (cursor or 0,))
    if not rows:
        return (), cursor
    return [Revocation(value, header or None) for _, header, value in rows], rows[-1][0]
