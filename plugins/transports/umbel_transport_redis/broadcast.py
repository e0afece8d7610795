"""Fan-out: a subscription to the channels that Celery publishes broadcasts on (``WIRE.md``-style names, PSUBSCRIBE)."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

from umbel.model import Delivery, Exchange, Queue
from umbel_transport_redis.envelope import decode
from umbel_transport_redis.link import Link
from umbel_transport_redis.settings import RedisTransportSettings
from umbel_transport_redis.topology import Names

__all__ = ["Subscription"]

#: Broadcasts are not kept: a listener that does not read loses the oldest beyond this many.
_BACKLOG = 10_000


class Subscription:
    """One connection in subscriber mode, opened with the first broadcast queue."""

    def __init__(self, url: str, settings: RedisTransportSettings, names: Names, timeout_s: float) -> None:
        self._open: Callable[[], Link] = lambda: Link(url, settings, timeout_s)
        self._names = names
        self._link: Link | None = None
        self._patterns: dict[bytes, Queue] = {}
        self._arrived: collections.deque[Delivery] = collections.deque(maxlen=_BACKLOG)

    def add(self, queue: Queue, exchange: Exchange, routing_key: str) -> None:
        """Listen for *queue*; on return what is published is received."""
        pattern = self._names.channel(exchange.name, routing_key).encode()
        if self._link is None:
            self._link = self._open()
        self._patterns[pattern] = queue
        answer = self._link.call("PSUBSCRIBE", pattern)
        while answer[0] != b"psubscribe":  # broadcasts of earlier patterns may come in between
            self._receive(answer)
            answer = self._link.read()

    def remove(self, name: str) -> None:
        """Stop listening for the queue *name*."""
        for pattern in [pattern for pattern, queue in self._patterns.items() if queue.name == name]:
            del self._patterns[pattern]
        if self._link is not None and not self._patterns:
            self.close()

    def watched(self) -> list[Any]:
        """Return what to select on."""
        return [self._link] if self._link is not None else []

    def take(self, limit: int) -> list[Delivery]:
        """Return up to *limit* broadcasts that have come in."""
        link = self._link
        while link is not None and link.has_input():
            self._receive(link.read())
        return [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]

    def _receive(self, message: Any) -> None:
        queue = self._patterns.get(message[1]) if message[0] == b"pmessage" else None
        if queue is not None:
            self._arrived.append(decode(message[3], queue.name, None))

    def close(self) -> None:
        """Disconnect."""
        if self._link is not None:
            self._link.close()
            self._link = None
