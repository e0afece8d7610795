"""What waits to be told: a bounded line that forgets its oldest when nobody takes from it."""

from __future__ import annotations

import collections
import threading
from typing import Any

__all__ = ["Inbox"]


class Inbox:
    """Takes things from any thread without ever waiting for one, and gives them to one thread in their order.

    Things come in items, each of which may hold several. Beyond *most* things the oldest items are dropped, and what
    they held is counted in :attr:`dropped`.
    """

    def __init__(self, most: int) -> None:
        self.dropped = 0
        self._most = most
        self._things = 0
        self._items: collections.deque[tuple[Any, int]] = collections.deque()
        self._counting = threading.Lock()
        self._filled = threading.Event()

    def put(self, item: Any, things: int = 1) -> None:
        """Add *item*, which holds so many *things*."""
        with self._counting:
            self._items.append((item, things))
            self._things += things
            while self._things > self._most and len(self._items) > 1:
                gone = self._items.popleft()[1]
                self._things -= gone
                self.dropped += gone
        if not self._filled.is_set():
            self._filled.set()

    def wake(self) -> None:
        """Make a blocked :meth:`wait` return."""
        self._filled.set()

    def wait(self, timeout_s: float) -> None:
        """Wait up to *timeout_s* until something is there, or :meth:`wake` is called."""
        if not self._items:
            self._filled.wait(max(0.0, timeout_s))
        self._filled.clear()

    def take(self, limit: int) -> tuple[list[Any], int]:
        """Return items until they hold *limit* things or none is left, and how many things they hold.

        Fewer than *limit*: nothing that was put before is left.
        """
        taken: list[Any] = []
        total = 0
        with self._counting:
            while self._items and total < limit:
                item, things = self._items.popleft()
                taken.append(item)
                total += things
            self._things -= total
        return taken, total

    def __len__(self) -> int:
        return self._things
