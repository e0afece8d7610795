"""Which queues there are, and which of them a publication goes to.

A connection remembers the routes it has asked for. The statement that publishes compares the version that they are of
with the store's, in one row, so that a binding is in force everywhere as soon as ``declare`` has returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs

from umbel.bindings import binding_matches
from umbel.exceptions import OperationalError
from umbel.model import Publication, Queue
from umbel_library_postgres import Link

__all__ = ["Target", "Topology", "channel_of", "find_numbers", "forgotten", "touch"]

#: A deleted queue keeps its number for this time, for those who still hold messages of it.
_TOMBSTONE_S: Final = 86400.0

_LOCK: Final = "SELECT version FROM SCHEMA.topology FOR UPDATE"
_TOUCH: Final = "UPDATE SCHEMA.topology SET version = version + 1"
_DESCRIBED: Final = (
    "SELECT name, no, is_declared, auto_delete, expires_s, message_ttl_s, max_length FROM SCHEMA.queues "
    "WHERE name = ANY(%s::text[])"
)
_DESCRIBE: Final = """
INSERT INTO SCHEMA.queues (name, is_declared, auto_delete, expires_s, message_ttl_s, max_length)
VALUES (%s, true, %s, %s, %s, %s)
ON CONFLICT (name) DO UPDATE SET is_declared = true, auto_delete = excluded.auto_delete,
    expires_s = excluded.expires_s, message_ttl_s = excluded.message_ttl_s, max_length = excluded.max_length,
    used_at = clock_timestamp()
RETURNING no
"""
_BOUND: Final = "SELECT queue, exchange, routing_key, kind FROM SCHEMA.bindings WHERE queue = ANY(%s::int[])"
_BIND: Final = (
    "INSERT INTO SCHEMA.bindings (exchange, routing_key, queue, kind) VALUES (%s, %s, %s, %s) "
    "ON CONFLICT (exchange, routing_key, queue) DO UPDATE SET kind = excluded.kind"
)
_ROUTES: Final = """
SELECT b.queue, b.kind, b.routing_key, q.message_ttl_s, q.max_length
FROM SCHEMA.bindings b JOIN SCHEMA.queues q ON q.no = b.queue WHERE b.exchange = %s ORDER BY b.queue
"""
_NAMED: Final = "SELECT no, message_ttl_s, max_length FROM SCHEMA.queues WHERE name = %s AND is_declared"
_OLD: Final = """
SELECT no FROM SCHEMA.queues q WHERE NOT is_declared AND used_at < clock_timestamp() - make_interval(secs => %s)
AND NOT EXISTS (SELECT 1 FROM SCHEMA.claimed c WHERE c.queue = q.no)
"""

_Key = tuple[str, str, str | None]


@attrs.frozen
class Target:
    """A queue to put a message into."""

    number: int
    message_ttl_s: float | None = None
    max_length: int | None = None


class Topology:
    """What one connection remembers of the routes. Used by one thread."""

    def __init__(self) -> None:
        self._routes: dict[_Key, tuple[Target, ...]] = {}
        #: Of which version the routes are; -1: of none.
        self.version = -1
        #: Whether a queue was made since :meth:`forget`: what is known then holds only if the transaction is committed.
        self.has_declared = False

    def forget(self) -> None:
        """Forget everything."""
        self._routes.clear()
        self.version = -1
        self.has_declared = False

    def route(self, link: Link, publication: Publication) -> tuple[Target, ...]:
        """Return the queues for *publication*; a queue that is missing is made."""
        key = _key(publication)
        targets = self._routes.get(key)
        if targets is None:
            if self.version < 0:
                self.version = link.rows("SELECT version FROM SCHEMA.topology")[0][0]
            exchange, routing_key, name = key
            targets = tuple(_bound(link, exchange, routing_key)) if exchange else ()
            if not targets and name is not None:
                targets = _named(link, name)
                if not targets or publication.queue is not None:
                    self.declare(link, [publication.queue or Queue(name=name)])
                    targets = _named(link, name)
                if not targets:
                    raise OperationalError(
                        f"the queue {name!r} was made after this transaction began, and is not to be seen in it: repeat "
                        "the transaction, or run it with READ COMMITTED"
                    )
            if self.version < 0:  # a declaration has changed it
                self.version = link.rows("SELECT version FROM SCHEMA.topology")[0][0]
            if targets:  # that there is nobody is not remembered: nothing is written then, which would find it outdated
                self._routes[key] = targets
        return targets

    def declare(self, link: Link, queues: Iterable[Queue]) -> None:
        """Make *queues* and their bindings, in a transaction of its own or in that of a borrowed connection."""
        wanted = {queue.name: queue for queue in queues}
        if not wanted or _is_as_wanted(link, wanted):
            return
        with link.transaction():
            link.rows(_LOCK)
            for queue in wanted.values():
                number = link.rows(_DESCRIBE, (queue.name, *_described(queue)))[0][0]
                for exchange, routing_key, kind in _bindings(queue):
                    link.change(_BIND, (exchange, routing_key, number, kind))
            touch(link)
        self.forget()
        self.has_declared = True


def touch(link: Link) -> None:
    """Have everybody forget the routes they remember, when the transaction is committed."""
    link.change(_TOUCH)


def find_numbers(link: Link, names: Sequence[str]) -> dict[str, int]:
    """Return name -> number of those of *names* that are known."""
    return {row[0]: row[1] for row in link.rows(_DESCRIBED, (list(names),))}


def forgotten(link: Link) -> list[int]:
    """Return the numbers of queues that were deleted long ago, and of which nobody holds anything."""
    return [row[0] for row in link.rows(_OLD, (_TOMBSTONE_S,))]


def channel_of(schema: str, number: int) -> str:
    """Return the channel that consumers of the queue *number* listen to."""
    return f"{schema}_q{number}"


def _key(publication: Publication) -> _Key:
    queue = publication.queue
    exchange = publication.exchange
    if queue is None:
        return exchange, publication.routing_key, None if exchange else publication.routing_key
    if exchange == queue.name and queue.exchange.kind == "direct":
        exchange = ""  # the exchange that a queue has for itself: its name is the address
    return exchange, publication.routing_key, queue.name


def _bound(link: Link, exchange: str, routing_key: str) -> Iterable[Target]:
    found: dict[int, Target] = {}
    for number, kind, key, ttl, length in link.rows(_ROUTES, (exchange,)):
        if binding_matches(kind, key, routing_key):
            found[number] = Target(number, ttl, length)
    return found.values()


def _named(link: Link, name: str) -> tuple[Target, ...]:
    return tuple(Target(*row) for row in link.rows(_NAMED, (name,)))


def _described(queue: Queue) -> tuple[Any, ...]:
    return queue.auto_delete or queue.exclusive, queue.expires_s, queue.message_ttl_s, queue.max_length


def _bindings(queue: Queue) -> list[tuple[str, str, str]]:
    return [
        (exchange.name, routing_key, exchange.kind)
        for exchange, routing_key in ((queue.exchange, queue.routing_key), *queue.bindings)
        if exchange.name
    ]


def _is_as_wanted(link: Link, wanted: dict[str, Queue]) -> bool:
    found = {row[0]: row[1:] for row in link.rows(_DESCRIBED, (list(wanted),))}
    if len(found) < len(wanted):
        return False
    bound = set(link.rows(_BOUND, ([row[0] for row in found.values()],)))
    for queue in wanted.values():
        number, *described = found[queue.name]
        if queue.expires_s is not None or described != [True, *_described(queue)]:
            return False
        if any((number, *binding) not in bound for binding in _bindings(queue)):
            return False
    return True
