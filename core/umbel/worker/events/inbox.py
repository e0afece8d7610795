"""What waits to be told: a bounded line that forgets its oldest when nobody takes from it."""

from __future__ import annotations

import collections
import threading
from typing import Any

__all__ = ["Inbox"]


class Inbox:
    """Takes things from any thread without ever blocking, and gives them to one thread in their order.

    Beyond *most* the oldest are dropped, and counted in :attr:`dropped`.
    """

    def __init__(self, most: int) -> None:
        self.dropped = 0
        self._most = most
        self._items: collections.deque[Any] = collections.deque()
        self._dropping = threading.Lock()
        self._filled = threading.Event()

    def put(self, item: Any) -> None:
        """Add *item*."""
        items = self._items
        if len(items) >= self._most:
            self._drop()
        items.append(item)
        if not self._filled.is_set():
            self._filled.set()

    def _drop(self) -> None:
        with self._dropping:
            while len(self._items) >= self._most:
                try:
                    self._items.popleft()
                except IndexError:  # all were taken meanwhile
                    return
                self.dropped += 1

    def wake(self) -> None:
        """Make a blocked :meth:`take` return."""
        self._filled.set()

    def wait(self, timeout_s: float) -> None:
        """Wait up to *timeout_s* until something is there, or :meth:`wake` is called."""
        if not self._items:
            self._filled.wait(max(0.0, timeout_s))
        self._filled.clear()

    def take(self, limit: int) -> list[Any]:
        """Return up to *limit* things, what is there. Fewer: nothing that was put before is left."""
        items = self._items
        taken: list[Any] = []
        try:
            while len(taken) < limit:
                taken.append(items.popleft())
        except IndexError:
            pass
        return taken

    def __len__(self) -> int:
        return len(self._items)
