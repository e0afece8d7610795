"""How long to wait before the next try."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

__all__ = ["Backoff"]

#: So many tries count one by one; later ones once in half a minute, which was Celery's longest pause: patience is
#: measured in tries, and is not to be used up sooner because the pauses are short.
_COUNT_EACH = 10
_COUNT_EVERY_S = 30.0


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._factor = factor
        self._random_unit = random_unit
        self._clock = clock
        self._counted_at = 0.0
        self.tries = 0
        #: The tries as a bound of them counts: each of the first ten, then those of half a minute as one.
        self.counted = 0

    def next_s(self) -> float:
        """Return the next pause in seconds."""
        whole = min(self._longest_s, self._first_s * self._factor ** min(self.tries, 64))
        now = self._clock()
        if self.tries < _COUNT_EACH or now - self._counted_at >= _COUNT_EVERY_S:
            self.counted += 1
            self._counted_at = now
        self.tries += 1
        return whole * (1.0 - 0.25 * self._random_unit())

    def reset(self) -> None:
        """Begin again with the shortest pause."""
        self.tries = self.counted = 0
