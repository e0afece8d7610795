"""The ledger: one line for each start of a task, written by the tasks themselves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["FOREIGN", "Entry", "Ledger"]

#: Numbers from here on are not the load's.
FOREIGN: Final = 1_000_000


class Entry(NamedTuple):
    """One start of a task. *place* is its attempt, or its place in a group."""

    kind: str
    number: int
    place: int
    token: str
    at: float


class Ledger:
    """Reads the file at *path* as it grows. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.entries: list[Entry] = []
        self._path = path
        self._offset = 0
        self._numbers: set[int] = set()
        self._lock = threading.Lock()
        path.touch()

    @property
    def seen(self) -> int:
        """How many of the calls have begun."""
        self.read()
        return len(self._numbers)

    def has_begun(self, lines: set[tuple[str, int, int]]) -> bool:
        """Say whether all of *lines* (kind, number, index) are there."""
        return lines <= {entry[:3] for entry in self.read()}

    def read(self) -> list[Entry]:
        """Return all entries there are by now."""
        with self._lock:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._offset += len(whole)
            for entry in _parsed(whole.decode().splitlines()):
                self.entries.append(entry)
                if entry.number < FOREIGN:
                    self._numbers.add(entry.number)
            return self.entries

    def count_after(self, moment: float) -> int:
        """Return how many tasks of late have begun after *moment* (``time.time()``)."""
        return sum(1 for entry in self.read()[-2000:] if entry.at > moment)

    def first_after(self, moment: float) -> float | None:
        """Return when the first task began after *moment*."""
        later = [entry.at for entry in self.read()[-2000:] if entry.at > moment]
        return min(later, default=None)


def _parsed(lines: list[str]) -> Iterator[Entry]:
    for line in lines:
        kind, number, place, token, at = line.split()
        yield Entry(kind, int(number), int(place), token, float(at))
