"""How many messages the broker may push ahead of the worker's asking."""

from __future__ import annotations

import time
from typing import Final

__all__ = ["Window"]

#: From this many at once on, tasks are quick, and the next batch should be here before it is asked for.
_QUICK: Final = 16
#: A window that was set so short a time ago is set generously now; one that is too large for so long shrinks.
_CALM_S: Final = 1.0


class Window:
    """Follows what the worker asks for: quick tasks get a long window, slow ones leave their messages to other workers.

    RabbitMQ counts a window per consumer (quorum queues know no other kind), so a new size takes a new consumer, to
    which what is held already does not count: hence *carried*. Delivery tags tell which messages those are.
    """

    def __init__(self, prefetch: int, most: int) -> None:
        self._prefetch = prefetch
        self._most = most
        self._size = 0
        self._carried = 0
        self._last_tag = 0
        self._changed_at = 0.0
        self._shrink_at = 0.0

    @property
    def is_set(self) -> bool:
        """Whether there has been a first request."""
        return self._size > 0

    @property
    def size(self) -> int:
        """The window of a consumer that starts now."""
        return max(1, self._size)

    def must_change(self, limit: int, held: int) -> bool:
        """Say whether the window must be set anew, for a request of *limit* messages with *held* handed out."""
        wanted = self._wanted(limit, held)
        if wanted > self._size + self._carried:
            return True
        if wanted >= self._size // 4:
            self._shrink_at = time.monotonic() + _CALM_S
            return False
        return time.monotonic() > self._shrink_at

    def change(self, limit: int, held: int, unsettled: int, last_tag: int) -> int:
        """Return the size for a new consumer; *unsettled* messages, up to *last_tag*, were pushed to earlier ones."""
        now = time.monotonic()
        wanted = self._wanted(limit, held)
        if not self._prefetch and now - self._changed_at < _CALM_S:
            self._size = min(self._most, wanted * 2)
        else:
            self._size = max(1, wanted - unsettled)
        self._carried = unsettled
        self._last_tag = last_tag
        self._changed_at = now
        self._shrink_at = now + _CALM_S
        return self._size

    def settle(self, tag: int) -> None:
        """Learn that the message *tag* is settled."""
        if tag <= self._last_tag and self._carried:
            self._carried -= 1

    def _wanted(self, limit: int, held: int) -> int:
        if self._prefetch:
            return self._prefetch
        return min(self._most, held + (limit * 2 if limit >= _QUICK else limit))
