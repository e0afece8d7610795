"""What is revoked, in a table whose numbers grow with time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from umbel.spi import Revocation
from umbel.sqlite_file import Connection

__all__ = ["read", "write"]

_DROP_EXPIRED: Final = "DELETE FROM umbel_revoked WHERE until <= ?"
_DROP: Final = "DELETE FROM umbel_revoked WHERE header = ? AND value = ?"
_INSERT: Final = "INSERT INTO umbel_revoked (header, value, until) VALUES (?, ?, ?)"
_READ: Final = "SELECT no, header, value, until FROM umbel_revoked WHERE no > ? ORDER BY no"


def write(connection: Connection, revocations: Sequence[Revocation], expires_s: float) -> None:
    """Keep *revocations*, inside a write transaction: so a number that is seen has no smaller one to come."""
    now = time.time()
    connection.execute(_DROP_EXPIRED, (now,))
    rows = [(each.header or "", each.value) for each in revocations]
    connection.executemany(_DROP, rows)
    connection.executemany(_INSERT, [(*row, now + expires_s) for row in rows])


def read(connection: Connection, cursor: Any) -> tuple[Sequence[Revocation], Any]:
    """Return what was revoked since *cursor*."""
    rows = connection.read(_READ, (cursor or 0,))
    if not rows:
        return (), cursor
    now = time.time()
    return [Revocation(value, header or None) for _, header, value, until in rows if until > now], rows[-1][0]
