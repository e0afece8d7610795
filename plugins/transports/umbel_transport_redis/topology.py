"""Where a message lies on Redis: a queue's lists, an exchange's bindings, a broadcast's channel (all as kombu names them)."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Sequence

from umbel.model import Exchange, Publication, Queue
from umbel_transport_redis.link import Link
from umbel_transport_redis.settings import RedisTransportSettings

__all__ = ["Names", "Routes", "bindings_of", "holds_replies", "is_broadcast", "topic_pattern"]

#: How long a producer trusts the bindings of an exchange that it has read.
_BINDINGS_TTL_S = 1.0


def is_broadcast(exchange: Exchange) -> bool:
    """Say whether copies of its messages go to every listener of the moment, and are not kept."""
    return exchange.kind == "fanout"


def topic_pattern(routing_key: str) -> str:
    """Return the regular expression for a topic binding, as kombu writes it into the binding set."""
    words = [
        ".*?" if word == "#" else r"[^\\.]+" if word == "*" else re.escape(word) for word in routing_key.split(".")
    ]
    return "^" + r"\.".join(words).replace(r"[^\\.]+", r"[^\.]+") + "$"


@functools.lru_cache(maxsize=1024)
def _topic(binding: str) -> re.Pattern[str]:
    """Return what a topic binding matches by AMQP's rule (``#``: any words, none too), which kombu's pattern is not."""
    words = ["[^.]+" if word == "*" else re.escape(word) for word in binding.split(".")]
    pattern = r"\.".join(words)
    pattern = pattern.replace(r"\.\#", r"(?:\.[^.]+)*").replace(r"\#\.", r"(?:[^.]+\.)*").replace(r"\#", ".*")
    return re.compile(f"^{pattern}$")


class Names:
    """The names of keys and channels, under the configured prefix."""

    def __init__(self, settings: RedisTransportSettings, database: int) -> None:
        self._prefix = settings.global_keyprefix
        self._sep = settings.sep
        self.steps = settings.priority_steps
        self._lists: dict[str, list[str]] = {}
        self._step_of = {priority: self._step(priority) for priority in (None, *range(10))}
        self._channel = f"{self._prefix}/{database}." if settings.fanout_prefix else self._prefix
        self.leases = f"{self._prefix}umbel.leases"
        self.broadcasts = f"{self._prefix}umbel.broadcasts"
        self.revoked = f"{self._prefix}umbel.revoked"

    def inflight(self, consumer: str) -> str:
        """Return the key of the hash of what *consumer* holds."""
        return f"{self._prefix}umbel.inflight.{consumer}"

    def delayed(self, queue: str) -> str:
        """Return the key of the sorted set of what waits for its time."""
        return f"{self._prefix}umbel.delayed.{queue}"

    def listeners(self, queue: str) -> str:
        """Return the key of the set of Umbel's consumers of *queue*; it expires with the last of their leases."""
        return f"{self._prefix}umbel.listeners.{queue}"

    def bound(self, queue: str) -> str:
        """Return the key of the set of foreign exchanges that *queue* is bound to."""
        return f"{self._prefix}umbel.bound.{queue}"

    def lists(self, queue: str) -> list[str]:
        """Return the keys of *queue*'s lists, first served first."""
        known = self._lists.get(queue)
        if known is None:
            name = f"{self._prefix}{queue}"
            known = self._lists[queue] = [f"{name}{self._sep}{step}" if step else name for step in self.steps]
        return known

    def step_of(self, priority: int | None) -> int:
        """Return the index of the list for *priority* (9: served first; unset: Celery's ordinary list)."""
        known = self._step_of.get(priority)
        return self._step(priority) if known is None else known

    def _step(self, priority: int | None) -> int:
        wire = self.wire_priority(priority)
        return max((index for index, step in enumerate(self.steps) if step <= wire), default=0)

    @staticmethod
    def wire_priority(priority: int | None) -> int:
        """Turn Umbel's priority (9 is soonest) into Redis's (0 is soonest); unset is Celery's 0."""
        return 0 if priority is None else max(0, min(9, 9 - priority))

    def bindings(self, exchange: str) -> tuple[str, str]:
        """Return the two sets that hold the bindings of *exchange* (the second since kombu 5.7)."""
        return f"{self._prefix}_kombu.binding.{exchange}", f"{self._prefix}_kombu.binding_permanent.{exchange}"

    def member(self, exchange: Exchange, routing_key: str, queue: str) -> str:
        """Return the element of a binding set."""
        pattern = topic_pattern(routing_key) if exchange.kind == "topic" else ""
        return self._sep.join((routing_key, pattern, queue))

    def split_member(self, member: str) -> tuple[str, str, str]:
        """Return (routing key, pattern, queue) of an element of a binding set."""
        routing_key, pattern, queue = ([*member.split(self._sep), "", ""])[:3]
        return routing_key, pattern, queue

    def channel(self, exchange: str, routing_key: str = "") -> str:
        """Return the channel (or, with ``#`` and ``*`` in the key, the pattern) of a broadcast."""
        suffix = f"/{routing_key.replace('#', '*')}" if routing_key else ""
        return f"{self._channel}{exchange}{suffix}"


class Routes:
    """Finds the queues of a publication. Keeps an exchange's bindings for a second."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known: dict[str, tuple[float, list[tuple[str, str, str]], bool]] = {}
        self._listened: dict[str, tuple[float, bool]] = {}

    def queues_for(self, link: Link, publication: Publication) -> Sequence[str]:
        """Return the names of the queues that get a copy; none is an unroutable message, dropped as brokers do."""
        queue = publication.queue
        exchange = publication.exchange
        if not exchange:
            return (publication.routing_key or (queue.name if queue else ""),)
        if queue is not None and exchange == queue.name == queue.exchange.name and queue.exchange.kind == "direct":
            return (queue.name,)
        was_known = exchange in self._known
        found = self._bound(link, exchange, publication.routing_key)
        if not found and was_known:  # who asked for a reply has bound his queue a moment ago
            del self._known[exchange]
            found = self._bound(link, exchange, publication.routing_key)
        return found or ([queue.name] if queue is not None else [])

    def waits_in_store(self, link: Link, publication: Publication, queue: str) -> bool:
        """Say whether a message for later goes into the delayed set, which Celery's workers do not read.

        Where no worker of Umbel serves the queue, a task with its ``eta`` among the headers goes into the list at once:
        a Celery worker will hold it, and one of Umbel's, if it should come, will move it to the set.
        """
        if publication.deliver_at is None:
            return False
        if publication.message.headers.get("eta") is None:
            return True
        now = time.monotonic()
        known = self._listened.get(queue)
        if known is None or known[0] <= now:
            listened = bool(link.call("EXISTS", self._names.listeners(queue)))
            known = self._listened[queue] = (now + _BINDINGS_TTL_S, listened)
        return known[1]

    def is_broadcast(self, link: Link, publication: Publication) -> bool:
        """Say whether *publication* goes to the listeners of the moment."""
        queue = publication.queue
        if queue is not None and publication.exchange in (queue.name, queue.exchange.name):
            return is_broadcast(queue.exchange) and publication.exchange == queue.exchange.name
        return bool(publication.exchange) and self._known_exchange(link, publication.exchange)[2]

    def _bound(self, link: Link, exchange: str, wanted: str) -> list[str]:
        """Return the queues that are bound to *exchange* by a key that fits *wanted*."""
        found = [
            name
            for routing_key, pattern, name in self._known_exchange(link, exchange)[1]
            if (_topic(routing_key).match(wanted) if pattern else routing_key == wanted)
        ]
        return list(dict.fromkeys(found))

    def _known_exchange(self, link: Link, exchange: str) -> tuple[float, list[tuple[str, str, str]], bool]:
        known = self._known.get(exchange)
        if known is not None and known[0] > time.monotonic():
            return known
        names = self._names
        members, broadcast = link.call_many(
            [("SUNION", *names.bindings(exchange)), ("SISMEMBER", names.broadcasts, exchange)]
        )
        table = [names.split_member(member.decode()) for member in members]
        known = self._known[exchange] = (time.monotonic() + _BINDINGS_TTL_S, table, bool(broadcast))
        return known

    def forget(self) -> None:
        """Read the bindings anew the next time."""
        self._known.clear()


def holds_replies(exchange: str) -> bool:
    """Say whether *exchange* is one of those through which kombu's mailboxes are answered."""
    return exchange.startswith("reply.") and exchange.endswith(".pidbox")


def bindings_of(queue: Queue) -> list[tuple[Exchange, str]]:
    """Return every (exchange, routing key) of *queue*."""
    return [(queue.exchange, queue.routing_key), *queue.bindings]
