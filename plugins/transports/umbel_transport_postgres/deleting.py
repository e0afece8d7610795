"""Empties and deletes queues, and removes what has expired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from umbel_library_postgres import Link
from umbel_transport_postgres.topology import forgotten, touch

__all__ = ["count", "delete_queue", "delete_unused", "drop_expired", "purge"]

_COUNT: Final = """
SELECT q.name, (SELECT count(*) FROM SCHEMA.ready r WHERE r.queue = q.no)
    + (SELECT count(*) FROM SCHEMA.delayed d WHERE d.queue = q.no)
FROM SCHEMA.queues q WHERE q.name = ANY(%s::text[])
"""
_DROP_READY: Final = "DELETE FROM SCHEMA.ready WHERE queue = %s"
_DROP_DELAYED: Final = "DELETE FROM SCHEMA.delayed WHERE queue = %s"
_UNBIND: Final = "DELETE FROM SCHEMA.bindings WHERE queue = %s"
_BURY: Final = "UPDATE SCHEMA.queues SET is_declared = false, used_at = clock_timestamp() WHERE no = %s"
_FORGET: Final = "DELETE FROM SCHEMA.queues WHERE no = %s AND NOT is_declared"
_UNUSED: Final = """
SELECT no FROM SCHEMA.queues q WHERE is_declared AND expires_s IS NOT NULL
AND used_at + make_interval(secs => expires_s) < clock_timestamp()
AND NOT EXISTS (SELECT 1 FROM SCHEMA.consumers c WHERE c.queue = q.no)
"""
_EXPIRED: Final = """
DELETE FROM SCHEMA.ready WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM SCHEMA.ready WHERE expires_at <= extract(epoch FROM now()) LIMIT 10000 FOR UPDATE SKIP LOCKED))
"""


def count(link: Link, names: Sequence[str]) -> list[int]:
    """Return how many messages wait in each of the queues *names*, due or not."""
    found = {row[0]: int(row[1]) for row in link.rows(_COUNT, (list(names),))}
    return [found.get(name, 0) for name in names]


def purge(link: Link, queue: int) -> int:
    """Drop what waits in *queue*; return how many that were."""
    with link.transaction():
        return link.change(_DROP_READY, (queue,)) + link.change(_DROP_DELAYED, (queue,))


def delete_queue(link: Link, queue: int) -> None:
    """Delete *queue*, its bindings and what waits in it, inside a transaction. Its number stays its own for a day."""
    touch(link)
    link.change(_UNBIND, (queue,))
    link.change(_BURY, (queue,))
    link.change(_DROP_READY, (queue,))
    link.change(_DROP_DELAYED, (queue,))


def delete_unused(link: Link) -> None:
    """Delete the queues that nobody has consumed from for their ``expires_s``, and forget those deleted long ago."""
    if link.rows(_UNUSED):
        with link.transaction():
            for (queue,) in link.rows(_UNUSED + " FOR UPDATE"):
                delete_queue(link, queue)
    for queue in forgotten(link):
        with link.transaction():
            link.change(_DROP_READY, (queue,))
            link.change(_DROP_DELAYED, (queue,))
            link.change(_FORGET, (queue,))
            touch(link)


def drop_expired(link: Link) -> None:
    """Remove messages whose time is over. They are never delivered; this gives back their space."""
    link.change(_EXPIRED)
