"""What is revoked, in the order in which it was."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count

from umbel.spi import Revocation

__all__ = ["RevocationList"]


class RevocationList:
    """Revocations with the numbers of their places. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._places: dict[Revocation, tuple[int, float]] = {}

    def add(self, revocations: Sequence[Revocation], expires_s: float) -> None:
        """Put *revocations* at the end; what has expired goes."""
        now = time.time()
        for old in [known for known, (_, until) in self._places.items() if until <= now]:
            del self._places[old]
        for revocation in revocations:
            self._places.pop(revocation, None)
            self._places[revocation] = (next(self._numbers), now + expires_s)

    def since(self, number: int) -> tuple[list[Revocation], int]:
        """Return what stands behind the place *number*, and the last place."""
        last = number
        found: list[Revocation] = []
        now = time.time()
        for revocation, (place, until) in reversed(self._places.items()):
            if place <= number:
                break
            last = max(last, place)
            if until > now:
                found.append(revocation)
        return found[::-1], last
