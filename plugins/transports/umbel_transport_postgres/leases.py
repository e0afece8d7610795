"""Who holds claims, and who of them is gone.

An owner is one consumer of one process. It is gone when it has not renewed its lease, by the server's clock: the one
clock that all hosts share.
"""

from __future__ import annotations

from typing import Final

from umbel_library_postgres import Link
from umbel_transport_postgres import claiming
from umbel_transport_postgres.deleting import delete_queue, delete_unused

__all__ = ["add_queue", "bury_dead", "drop_queue", "enter", "leave", "renew"]

_ENTER: Final = "INSERT INTO SCHEMA.owners (name, lease_until) VALUES (%s, clock_timestamp() + make_interval(secs => %s)) RETURNING no"
_ADD: Final = "INSERT INTO SCHEMA.consumers VALUES (%s, %s) ON CONFLICT DO NOTHING"
_RENEW: Final = "UPDATE SCHEMA.owners SET lease_until = clock_timestamp() + make_interval(secs => %s) WHERE no = %s"
_ANY_DEAD: Final = "SELECT EXISTS (SELECT 1 FROM SCHEMA.owners WHERE lease_until < clock_timestamp())"
_DEAD: Final = "SELECT no FROM SCHEMA.owners WHERE lease_until < clock_timestamp() FOR UPDATE SKIP LOCKED"
_FREE: Final = """
WITH back AS (DELETE FROM SCHEMA.claimed WHERE owner = %s::bigint RETURNING *),
stored AS (
    INSERT INTO SCHEMA.ready (queue, rank, place, count, expires_at, head, body)
    SELECT queue, rank - rank %% 2, place, greatest(count - %s::int, 0), expires_at, head, body FROM back
)
SELECT DISTINCT queue FROM back
"""
_UNSUBSCRIBE: Final = "DELETE FROM SCHEMA.consumers WHERE owner = %s RETURNING queue"
_UNSUBSCRIBE_ONE: Final = "DELETE FROM SCHEMA.consumers WHERE owner = %s AND queue = %s"
_FORGET: Final = "DELETE FROM SCHEMA.owners WHERE no = %s"
_USED: Final = "UPDATE SCHEMA.queues SET used_at = clock_timestamp() WHERE no = %s AND expires_s IS NOT NULL"
_ALONE: Final = """
SELECT 1 FROM SCHEMA.queues q WHERE no = %s AND auto_delete AND is_declared
AND NOT EXISTS (SELECT 1 FROM SCHEMA.consumers c WHERE c.queue = q.no)
"""


def enter(link: Link, name: str, lease_s: float) -> int:
    """Register a new owner and return its number."""
    return int(link.rows(_ENTER, (name, lease_s))[0][0])


def add_queue(link: Link, owner: int, queue: int) -> None:
    """Note that *owner* consumes *queue*, which keeps it from being deleted as unused."""
    link.change(_ADD, (owner, queue))


def renew(link: Link, owner: int, lease_s: float) -> bool:
    """Prolong the lease; false when the owner was given up meanwhile, and what it held to others."""
    return link.change(_RENEW, (lease_s, owner)) == 1


def leave(link: Link, owner: int, *, uncounted: bool) -> None:
    """Give back what *owner* holds and forget it, inside a transaction."""
    # First its row: a claim of its own that is under way is waited for.
    link.change(_FORGET, (owner,))
    claiming.notify(link, [row[0] for row in link.rows(_FREE, (owner, int(uncounted)))])
    for (queue,) in link.rows(_UNSUBSCRIBE, (owner,)):
        _lost_consumer(link, queue)


def drop_queue(link: Link, owner: int, queue: int) -> None:
    """Note that *owner* consumes *queue* no more, inside a transaction."""
    link.change(_UNSUBSCRIBE_ONE, (owner, queue))
    _lost_consumer(link, queue)


def bury_dead(link: Link) -> None:
    """Give back what the dead hold, with their deliveries counted, and delete queues whose time is over."""
    if link.rows(_ANY_DEAD)[0][0]:
        with link.transaction():
            for (owner,) in link.rows(_DEAD):
                leave(link, owner, uncounted=False)
    delete_unused(link)


def _lost_consumer(link: Link, queue: int) -> None:
    """Do what is due when *queue* has lost a consumer: an ``auto_delete`` queue goes with its last one."""
    link.change(_USED, (queue,))
    if link.rows(_ALONE, (queue,)):
        delete_queue(link, queue)
