"""How long to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """Pauses that grow from *first_s* by *factor* up to *longest_s*, each shortened by up to a quarter at random.

    The randomness keeps many workers from coming back to a broker in the same instant. Not thread-safe.
    """

    def __init__(
        self,
        first_s: float = 0.1,
        longest_s: float = 10.0,
        factor: float = 2.0,
        random_unit: Callable[[], float] = random.random,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._factor = factor
        self._random_unit = random_unit
        self.tries = 0

    def next_s(self) -> float:
        """Return the next pause in seconds."""
        whole = min(self._longest_s, self._first_s * self._factor ** min(self.tries, 64))
        self.tries += 1
        return whole * (1.0 - 0.25 * self._random_unit())

    def reset(self) -> None:
        """Begin again with the shortest pause."""
        self.tries = 0
