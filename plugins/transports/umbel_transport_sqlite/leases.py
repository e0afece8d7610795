"""Who holds claims, and who of them is gone.

An owner is one consumer of one process. It is gone when nobody reads its FIFO any more (its process has ended, however
it did: seen within a second), or when it has not renewed its lease. The lease runs by the machine's monotonic clock,
which all processes share, which nobody sets, and which stands still while the machine sleeps.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from umbel.doorbell import Doorbell
from umbel.sqlite_file import Connection, transaction
from umbel_transport_sqlite import claiming
from umbel_transport_sqlite.deleting import delete_queue, delete_unused
from umbel_transport_sqlite.publishing import Ringer

__all__ = ["bury_dead", "enter", "leave", "renew"]

_INSERT: Final = "INSERT INTO umbel_owners (name, bell, lease_until) VALUES (?, ?, ?)"


def enter(connection: Connection, name: str, bell_token: str, lease_s: float, queues: Sequence[int]) -> int:
    """Register a new owner, inside a write transaction, and return its number."""
    owner = connection.execute(_INSERT, (name, bell_token, time.monotonic() + lease_s)).lastrowid or 0
    connection.executemany("INSERT INTO umbel_consumers VALUES (?, ?)", [(owner, queue) for queue in queues])
    return owner


def renew(connection: Connection, owner: int, bell_token: str, lease_s: float) -> bool:
    """Prolong the lease; false when the owner was given up meanwhile, and what it held to others."""
    ends = time.monotonic() + lease_s
    statement = "UPDATE umbel_owners SET lease_until = ?, bell = ? WHERE no = ?"
    return connection.retrying(lambda: connection.execute(statement, (ends, bell_token, owner))).rowcount == 1


def leave(connection: Connection, owner: int, ringer: Ringer, *, uncounted: bool) -> None:
    """Give back what *owner* holds and forget it, inside a write transaction."""
    claiming.give_back(connection, claiming.held(connection, owner), ringer, uncounted=uncounted)
    queues = [row[0] for row in connection.execute("SELECT queue FROM umbel_consumers WHERE owner = ?", (owner,))]
    connection.execute("DELETE FROM umbel_consumers WHERE owner = ?", (owner,))
    connection.execute("DELETE FROM umbel_owners WHERE no = ?", (owner,))
    for queue in queues:
        drop_consumer(connection, queue)


def drop_consumer(connection: Connection, queue: int) -> None:
    """Do what is due when *queue* has lost a consumer: an ``auto_delete`` queue goes with its last one."""
    connection.execute(
        "UPDATE umbel_queues SET used_at = ? WHERE no = ? AND expires_s IS NOT NULL", (time.time(), queue)
    )
    alone = connection.execute(
        "SELECT 1 FROM umbel_queues q WHERE no = ? AND auto_delete "
        "AND NOT EXISTS (SELECT 1 FROM umbel_consumers c WHERE c.queue = q.no)",
        (queue,),
    ).fetchone()
    if alone:
        delete_queue(connection, queue)


def bury_dead(connection: Connection, bell: Doorbell, lease_s: float, but: int) -> int:
    """Give back what the dead hold, with their deliveries counted, and delete queues whose time is over.

    Only reads while everybody lives. Opens transactions of its own. *but* is the caller. Returns how many there are.
    """
    owners = connection.read("SELECT no, bell, lease_until FROM umbel_owners")
    for owner, token, lease_until in owners:
        if owner == but or _is_alive(bell, token, lease_until, lease_s):
            continue
        ringer = Ringer(bell)
        with transaction(connection):
            again = connection.execute("SELECT bell, lease_until FROM umbel_owners WHERE no = ?", (owner,)).fetchone()
            if again and not _is_alive(bell, again[0], again[1], lease_s):
                leave(connection, owner, ringer, uncounted=False)
        ringer()
    delete_unused(connection)
    return len(owners)


def _is_alive(bell: Doorbell, token: str, lease_until: float, lease_s: float) -> bool:
    left_s = lease_until - time.monotonic()
    # A lease that ends later than any can is one from before the machine was started anew.
    if left_s <= 0 or left_s > max(lease_s, 1) * 100:
        return False
    return not token or bell.is_listening(token)
