"""The members of a set of results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from umbel.results.sets import Member

__all__ = ["Members"]


class Members:
    """A list of results in which each stands once. Not thread-safe while it is changed."""

    def __init__(self, results: Iterable[Member]) -> None:
        self.results: list[Member] = list(results)

    def add(self, result: Member) -> None:
        """Add *result*; nothing happens when it is in (B551)."""
        if result not in self.results:
            self.results.append(result)

    def remove(self, result: Member | str) -> None:
        """Remove a member, given by itself or its id; ``KeyError`` when it is none (B552)."""
        found = self._member(result)
        if found is None:
            raise KeyError(result)
        self.results.remove(found)

    def discard(self, result: Member | str) -> None:
        """Remove a member if it is one."""
        found = self._member(result)
        if found is not None:
            self.results.remove(found)

    def _member(self, result: Member | str) -> Member | None:
        wanted = result if isinstance(result, str) else result.id
        return next((member for member in self.results if member.id == wanted), None)

    def update(self, results: Iterable[Member]) -> None:
        """Add those of *results* that are not in."""
        for result in results:
            self.add(result)

    def clear(self) -> None:
        """Remove all members."""
        self.results.clear()

    def __iter__(self) -> Iterator[Member]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, index: int) -> Member:
        return self.results[index]

    @property
    def children(self) -> list[Member]:
        """The members, as a result's children are called."""
        return self.results
