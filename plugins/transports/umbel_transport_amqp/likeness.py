"""What the headers of one task's messages have in common, learned from the first of them.

Some twenty headers cost 15 to 20 µs to write or read one by one, and all but a few of them (ids, arguments) are the same
in every message of a task. A likeness holds the bytes of what is the same, and where the rest goes. What is unlike it is
written and read in full, so a likeness changes no byte and no value.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

__all__ = ["ReadLikeness", "Span", "WrittenLikeness", "copies"]

#: The headers that differ from one call of a task to the next, where they are text or a whole number.
_VARYING: Final = frozenset(
    {"id", "root_id", "parent_id", "group", "group_index", "argsrepr", "kwargsrepr", "origin", "eta", "expires"}
)
_LENGTH: Final = struct.Struct(">I")
_INT: Final = struct.Struct(">i")
_pack_length = _LENGTH.pack
_unpack_length = _LENGTH.unpack_from
_pack_int = _INT.pack
_unpack_int = _INT.unpack_from

#: A header as it stands in a table: (name, value, where its value begins behind the letter of its type, where it ends).
Span = tuple[str, Any, int, int]
#: Bytes that are the same, their length, the header that follows them, and whether that is text (else a number).
_Part = tuple[bytes, int, str, bool]


def _varies(name: str, value: Any) -> bool:
    if name not in _VARYING:
        return False
    return type(value) is str or (type(value) is int and -0x80000000 <= value < 0x80000000)


def copies(values: Iterable[tuple[str, Any]]) -> list[tuple[str, Callable[[], Any]]] | None:
    """Return how each mutable value is made anew for another message; ``None`` when one is nested."""
    found: list[tuple[str, Callable[[], Any]]] = []
    for name, value in values:
        if isinstance(value, list | dict):
            inner = value.values() if isinstance(value, dict) else value
            if any(isinstance(each, list | dict) for each in inner):
                return None
            found.append((name, value.copy))
    return found


def _parts(data: bytes, at: int, spans: Sequence[Span]) -> tuple[list[_Part], int]:
    """Cut a table that begins at *at* behind each header that varies; return the parts and where the last one ends."""
    parts: list[_Part] = []
    for name, value, start, end in spans:
        if _varies(name, value):
            parts.append((data[at:start], start - at, name, type(value) is str))
            at = end
    return parts, at


class ReadLikeness:
    """Reads tables that are like the one between *at* and *end* of *data*, whose headers are *spans*."""

    def __init__(self, data: bytes, at: int, end: int, spans: Sequence[Span]) -> None:
        self._values = {name: value for name, value, _, _ in spans}
        fresh = copies(self._values.items())
        self.is_usable = fresh is not None and len(self._values) == len(spans)
        self._fresh = fresh or []
        self._parts, tail = _parts(data, at, spans)
        self._tail = data[tail:end]

    def read(self, data: bytes, at: int, end: int) -> dict[str, Any] | None:
        """Return the table in *data* from *at* to *end*, or ``None`` when it is unlike."""
        values = self._values.copy()
        try:
            for same, size, name, is_text in self._parts:
                if not data.startswith(same, at):
                    return None
                at += size
                if is_text:
                    start = at + 4
                    at = start + _unpack_length(data, at)[0]
                    values[name] = data[start:at].decode()
                else:
                    values[name] = _unpack_int(data, at)[0]
                    at += 4
        except (UnicodeDecodeError, struct.error):
            return None
        if data[at:end] != self._tail:
            return None
        for name, make in self._fresh:
            values[name] = make()
        return values


class WrittenLikeness:
    """Writes tables that are like *table*, whose bytes *data* have the headers at *spans*."""

    def __init__(self, table: Mapping[str, Any], data: bytes, spans: Sequence[Span]) -> None:
        self._names = list(table)
        same = {name: value for name, value in table.items() if not _varies(name, value)}
        texts = {name: value for name, value in same.items() if type(value) is str}
        # By identity, since 0, False and 0.0 are equal and of three types.
        atoms = {name: value for name, value in same.items() if value is None or type(value) in (bool, int)}
        others = {name: value for name, value in same.items() if name not in texts and name not in atoms}
        self.is_usable = len(texts) > 1 and len(atoms) > 1 and all(_is_plain(value) for value in others.values())
        if not self.is_usable:
            return
        self._get_texts: Callable[[Any], Any] = operator.itemgetter(*texts)
        self._texts = tuple(texts.values())
        self._get_atoms: Callable[[Any], Any] = operator.itemgetter(*atoms)
        self._atoms = tuple(atoms.values())
        self._others = [(name, value.copy()) for name, value in others.items()]
        self._parts, tail = _parts(data, 0, spans)
        self._tail = data[tail:]
        self._size = sum(size + 4 for _, size, _, _ in self._parts) + len(self._tail)

    def write(self, table: Mapping[str, Any]) -> bytes | None:
        """Return *table* as bytes, its length first, or ``None`` when it is unlike."""
        if list(table) != self._names or self._get_texts(table) != self._texts:
            return None
        if not all(map(operator.is_, self._get_atoms(table), self._atoms)):
            return None
        for name, value in self._others:
            if table[name] != value:
                return None
        size = self._size
        pieces: list[bytes] = [b""]
        for same, _, name, is_text in self._parts:
            value = table[name]
            if is_text:
                if type(value) is not str:
                    return None
                raw = value.encode("utf-8", "surrogatepass")
                size += len(raw)
                pieces += (same, _pack_length(len(raw)), raw)
            else:
                if type(value) is not int or not -0x80000000 <= value < 0x80000000:
                    return None
                pieces += (same, _pack_int(value))
        pieces.append(self._tail)
        pieces[0] = _pack_length(size)
        return b"".join(pieces)


def _is_plain(value: Any) -> bool:
    """Say whether *value* equals only what has its very bytes: nothing, or a list of nulls."""
    return value in ({}, []) or (isinstance(value, list) and all(each is None for each in value))
