"""Mappings that programs import from Celery."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

__all__ = ["AttributeDict", "Bunch", "DictAttribute", "LimitedSet", "OrderedDict", "force_mapping"]


class AttributeDict(dict[str, Any]):
    """A dict whose items are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class Bunch:
    """An object with these attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class DictAttribute(MutableMapping[str, Any]):
    """An object's attributes as a mapping."""

    def __init__(self, obj: Any) -> None:
        self.obj = obj

    def __getitem__(self, key: str) -> Any:
        try:
            return getattr(self.obj, key)
        except AttributeError:
            raise KeyError(key) from None

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self.obj, key, value)

    def __delitem__(self, key: str) -> None:
        delattr(self.obj, key)

    def __iter__(self) -> Iterator[str]:
        return iter(vars(self.obj))

    def __len__(self) -> int:
        return len(vars(self.obj))


def force_mapping(m: Any) -> Mapping[str, Any]:
    """Return an object as a mapping of its attributes, a mapping as it is."""
    return m if isinstance(m, Mapping) else DictAttribute(m)


class LimitedSet:
    """A set that forgets: at most *maxlen* items, each for *expires* seconds (0: no limit)."""

    def __init__(self, maxlen: int = 0, expires: float = 0, data: Any = None, minlen: int = 0) -> None:
        self.maxlen = maxlen
        self.expires = expires
        self._data: dict[Any, float] = {}
        for item in data or ():
            self.add(item)

    def add(self, item: Any, now: float | None = None) -> None:
        """Add *item*, as new."""
        self._data.pop(item, None)
        self._data[item] = time.time() if now is None else now
        self.purge()

    def discard(self, item: Any) -> None:
        """Remove *item* where it is there."""
        self._data.pop(item, None)

    pop_value = discard

    def update(self, other: Any) -> None:
        """Add all of *other*."""
        for item in other:
            self.add(item)

    def purge(self, now: float | None = None) -> None:
        """Forget what is too old or too much."""
        moment = time.time() if now is None else now
        while self._data:
            item, added = next(iter(self._data.items()))
            is_old = bool(self.expires) and moment - added > self.expires
            if not is_old and not (self.maxlen and len(self._data) > self.maxlen):
                return
            del self._data[item]

    def clear(self) -> None:
        """Forget everything."""
        self._data.clear()

    def as_dict(self) -> dict[Any, float]:
        """Return item -> when it was added."""
        return dict(self._data)

    def __contains__(self, item: object) -> bool:
        return item in self._data

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._data))

    def __len__(self) -> int:
        return len(self._data)
