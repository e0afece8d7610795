"""A logical clock: numbers that order what happens on several machines, without their clocks of the wall."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

__all__ = ["LamportClock"]


class LamportClock:
    """Lamport's clock, as Celery's workers keep it: every message carries it, and every reader moves past what it reads.

    Thread-safe.
    """

    def __init__(self, value: int = 0) -> None:
        self.value = value
        self._lock = threading.Lock()

    def forward(self, steps: int = 1) -> int:
        """Go one further, or several *steps*, for what is about to be sent; return the new value."""
        with self._lock:
            self.value += steps
            return self.value

    def adjust(self, other: object) -> int:
        """Go past *other*, the clock of a message that was read (what is no number is passed over); return the value."""
        seen = other if isinstance(other, int) and 0 <= other < 1 << 62 else 0
        with self._lock:
            self.value = max(self.value, seen) + 1
            return self.value

    @staticmethod
    def sort_heap(entries: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return the first of *entries*, each (clock, process, ...): at equal clocks the smaller name of a process."""
        return min(entries, key=lambda entry: (entry[0], entry[1]))

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return f"<LamportClock {self.value}>"
