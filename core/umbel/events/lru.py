"""A dict that forgets its oldest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

__all__ = ["LimitedDict"]

K = TypeVar("K")
V = TypeVar("V")


class LimitedDict(dict[K, V], Generic[K, V]):
    """Keeps the *limit* entries that were added last; iteration is safe while others add and remove [B1148]."""

    def __init__(self, limit: int, *args: Any) -> None:
        super().__init__(*args)
        self.limit = limit

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        while len(self) > self.limit:
            self.pop(next(super().__iter__()), None)

    def __iter__(self) -> Iterator[K]:
        return iter(list(super().keys()))

    def items(self) -> Any:
        """Return a list of the entries of this moment."""
        return list(super().items())

    def values(self) -> Any:
        """Return a list of the values of this moment."""
        return list(super().values())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.limit, dict(super().items()))
