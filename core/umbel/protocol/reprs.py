"""Short texts of any value, for headers, logs and monitors: bounded in length and in work, and never raising."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["MAX_LENGTH", "MAX_LEVELS", "saferepr", "safestr"]

#: What a header's ``argsrepr`` may be long (``WIRE.md`` 1.1), and how deep it looks (``task_repr_maxlevels``).
MAX_LENGTH: Final = 1024
MAX_LEVELS: Final = 3

#: Up to this many plain elements, C's ``repr`` does it all at once.
_FEW: Final = 16
_SHORT: Final = 100
_MANY_BITS: Final = 4096
_ATOMS: Final = frozenset({int, float, bool, complex, type(None)})
_BRACKETS: Final[dict[type, tuple[str, str]]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    dict: ("{", "}"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}


def saferepr(value: Any, maxlen: int = MAX_LENGTH, maxlevels: int | None = MAX_LEVELS) -> str:
    """Return about what ``repr`` would, in at most *maxlen* characters of encodable text.

    Containers beyond *maxlevels* (``None`` or 0: no limit) show as ``[...]``. The work is bounded by *maxlen*, not by
    the size of *value*; the ``repr`` of classes of the user's own is called as it is, and when it fails the text says so.
    """
    kind = type(value)
    if kind is tuple or kind is list:
        plain = len(value) <= _FEW and _are_plain(value)
    elif kind is dict:
        plain = len(value) <= _FEW and _are_plain(value) and _are_plain(value.values())
    else:
        plain = _are_plain((value,))
    if plain:
        try:
            text = repr(value)
        except ValueError:  # a whole number of thousands of digits
            text = _bounded(value, maxlen, maxlevels)
    else:
        text = _bounded(value, maxlen, maxlevels)
    if len(text) > maxlen:
        text = text[: max(maxlen - 3, 0)] + "..."[:maxlen]
    return text


def safestr(value: Any, maxlen: int = MAX_LENGTH) -> str:
    """Return ``str(value)``, cut to *maxlen* and encodable, or its :func:`saferepr` when its class breaks ``str``."""
    try:
        text = str(value)[:maxlen]
        return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
    except Exception:
        return saferepr(value, maxlen)


def _are_plain(values: Iterable[Any]) -> bool:
    for value in values:
        kind = type(value)
        if kind not in _ATOMS and not (kind is str and len(value) <= _SHORT):
            return False
    return True


def _bounded(value: Any, maxlen: int, maxlevels: int | None) -> str:
    writer = _Writer(maxlen, maxlevels or 0)
    try:
        writer.write(value, 0)
    except Exception as error:  # a container of the user's own whose length or iteration fails; or too deep
        writer.put(_unrepresentable(value, error))
    text = "".join(writer.pieces)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


class _Writer:
    """Collects pieces of text until its room is used up."""

    def __init__(self, room: int, maxlevels: int) -> None:
        self.pieces: list[str] = []
        self._room = room
        self._maxlevels = maxlevels
        self._open: set[int] = set()

    def put(self, text: str) -> None:
        self.pieces.append(text)
        self._room -= len(text)

    def write(self, value: Any, level: int) -> None:
        if isinstance(value, str | bytes | bytearray):
            self.put(_chars(value, max(self._room, 0)))
            return
        for kind, brackets in _BRACKETS.items():
            if isinstance(value, kind):
                self._write_container(value, kind, brackets, level)
                return
        self.put(_one(value))

    def _write_container(self, value: Any, kind: type, brackets: tuple[str, str], level: int) -> None:
        opening, closing = brackets
        if kind is tuple and len(value) == 1:
            closing = ",)"
        if not value and kind in (set, frozenset):
            self.put(f"{kind.__name__}()")
        elif self._maxlevels and level >= self._maxlevels:
            self.put(f"{opening}...{closing}")
        elif id(value) in self._open:
            self.put(f"<Recursion on {type(value).__name__}>")
        else:
            self._open.add(id(value))
            self.put(opening)
            self._write_elements(value, kind, level + 1)
            self.put(closing)
            self._open.discard(id(value))

    def _write_elements(self, value: Any, kind: type, level: int) -> None:
        # No more elements than there is room for: each takes three characters at least, its separator included.
        for number, element in enumerate(itertools.islice(value, self._room // 3 + 2)):
            if number:
                self.put(", ")
            if self._room <= 0:
                self.put("...")
                return
            self.write(element, level)
            if kind is dict:
                self.put(": ")
                self.write(value[element], level)


def _chars(value: str | bytes | bytearray, room: int) -> str:
    """Quote as ``repr`` does, so that control characters cannot garble a log; only the start of a long text is read."""
    if len(value) <= room:
        return _one(value)
    head = value[:room]
    return _one(head + "..." if isinstance(head, str) else bytes(head) + b"...")


def _one(value: Any) -> str:
    try:
        if isinstance(value, int) and value.bit_length() > _MANY_BITS:
            return f"<int of {value.bit_length()} bits>"
        return repr(value)
    except Exception as error:
        return _unrepresentable(value, error)


def _unrepresentable(value: Any, error: Exception) -> str:
    return f"<Unrepresentable {type(value).__name__}: {type(error).__name__}>"
