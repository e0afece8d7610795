"""Field tables (the headers of a message) as bytes, both ways.

py-amqp's own functions cost some 25 µs for the headers of a task, each way; these a fifth, since messages of one task are
read and written after their likeness. The types are those that
py-amqp writes, so that Celery reads them: text ``S``, integers ``I`` and ``L``, ``null`` as ``V``, lists ``A``, tables ``F``.
"""

from __future__ import annotations

import calendar
import datetime as dt
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from umbel.exceptions import TransportError
from umbel_transport_amqp.likeness import ReadLikeness, Span, WrittenLikeness

__all__ = ["decode_table", "encode_table", "short_text"]

_LENGTH: Final = struct.Struct(">I")
_INT: Final = struct.Struct(">ci")
_LONG: Final = struct.Struct(">cq")
_DOUBLE: Final = struct.Struct(">cd")
#: Names of headers are few; what senders make up must not fill the memory.
_MOST_NAMES: Final = 4096
_encoded_names: dict[str, bytes] = {}
_decoded_names: dict[bytes, str] = {}

#: What the messages of a task are like, in each direction, by the task's name; a few kinds of calls for each.
_MOST_TASKS: Final = 1024
_MOST_KINDS: Final = 4
_read: dict[bytes, list[ReadLikeness]] = {}
_written: dict[str, list[WrittenLikeness]] = {}
#: How the headers of a task begin, and where its name's length and the name stand.
_BEGINNING: Final = b"\x04langS\x00\x00\x00\x02py\x04taskS\x00\x00\x00"

_pack_length = _LENGTH.pack
_unpack_length = _LENGTH.unpack_from

Writer = Callable[[bytes], None]


def short_text(text: str) -> bytes:
    """Return *text* as AMQP's short string: a byte of length, then UTF-8."""
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) > 255:
        raise TransportError(f"expected at most 255 bytes for a name on AMQP, got {len(raw)}: {text[:60]!r}...")
    return b"%c%b" % (len(raw), raw)


def encode_table(table: Mapping[str, Any]) -> bytes:
    """Return *table* as bytes, its length first; raises ``TypeError`` for a value that AMQP has no type for."""
    task = table.get("task")
    if type(task) is not str:
        return _encode_in_full(table)
    known = _written.get(task, ())
    for likeness in known:
        written = likeness.write(table)
        if written is not None:
            return written
    data = _encode_in_full(table)
    if len(known) < _MOST_KINDS and len(_written) < _MOST_TASKS:
        learned = WrittenLikeness(table, data[4:], _spans(data[4:], 0, len(data) - 4))
        if learned.is_usable:
            _written.setdefault(task, []).append(learned)
    return data


def _encode_in_full(table: Mapping[str, Any]) -> bytes:
    parts: list[bytes] = []
    _write_pairs(parts.append, table)
    body = b"".join(parts)
    return _pack_length(len(body)) + body


def _name(key: str) -> bytes:
    known = _encoded_names.get(key)
    if known is None:
        known = short_text(key)
        if len(_encoded_names) < _MOST_NAMES:
            _encoded_names[key] = known
    return known


def _write_pairs(write: Writer, table: Mapping[str, Any]) -> None:
    for key, value in table.items():
        write(_encoded_names.get(key) or _name(key))
        if value is None:
            write(b"V")
        elif type(value) is str:
            raw = value.encode("utf-8", "surrogatepass")
            write(b"S" + _pack_length(len(raw)) + raw)
        else:
            try:
                _write_value(write, value)
            except (TypeError, OverflowError, struct.error) as error:
                raise TypeError(f"header {key!r}: {error}") from error


def _write_value(write: Writer, value: Any) -> None:
    if value is None:
        write(b"V")
    elif isinstance(value, bool):
        write(b"t\x01" if value else b"t\x00")
    elif isinstance(value, int):
        write(_INT.pack(b"I", value) if -2147483648 < value < 2147483648 else _LONG.pack(b"L", value))
    elif isinstance(value, str):
        raw = value.encode("utf-8", "surrogatepass")
        write(b"S" + _pack_length(len(raw)) + raw)
    elif isinstance(value, float):
        write(_DOUBLE.pack(b"d", value))
    elif isinstance(value, Mapping):
        write(b"F" + encode_table(value))
    elif isinstance(value, list | tuple):
        parts: list[bytes] = []
        for item in value:
            _write_value(parts.append, item)
        body = b"".join(parts)
        write(b"A" + _pack_length(len(body)) + body)
    else:
        _write_rare(write, value)


def _write_rare(write: Writer, value: Any) -> None:
    if isinstance(value, bytes | bytearray):
        write(b"x" + _pack_length(len(value)) + bytes(value))
    elif isinstance(value, dt.datetime):
        write(struct.pack(">cQ", b"T", calendar.timegm(value.utctimetuple())))
    elif isinstance(value, Decimal) and value.is_finite():
        sign, digits, exponent = value.as_tuple()
        whole = int("".join(map(str, digits)) or "0")
        assert isinstance(exponent, int)
        write(struct.pack(">cBi", b"D", -exponent, -whole if sign else whole))
    else:
        raise TypeError(f"expected text, number, list, table or null, got {type(value).__name__}")


def decode_table(data: bytes, at: int, end: int) -> dict[str, Any]:
    """Return the table in *data* from *at* (behind its length) to *end*."""
    if not data.startswith(_BEGINNING, at):
        return _decode_in_full(data, at, end)
    start = at + len(_BEGINNING)
    task = data[start : start + 1 + data[start]]
    known = _read.get(task, ())
    for likeness in known:
        table = likeness.read(data, at, end)
        if table is not None:
            return table
    if len(known) < _MOST_KINDS and len(_read) < _MOST_TASKS:
        learned = ReadLikeness(data, at, end, _spans(data, at, end))
        if learned.is_usable:
            _read.setdefault(task, []).append(learned)
    return _decode_in_full(data, at, end)


def _spans(data: bytes, at: int, end: int) -> list[Span]:
    """Return the headers of a table, and where each stands."""
    spans: list[Span] = []
    while at < end:
        start = at + 1
        at = start + data[at]
        name = _text(data[start:at])
        value, after = _value(data, at)
        spans.append((name, value, at + 1, after))
        at = after
    return spans


def _decode_in_full(data: bytes, at: int, end: int) -> dict[str, Any]:
    table: dict[str, Any] = {}
    names = _decoded_names
    while at < end:
        start = at + 1
        at = start + data[at]
        raw = data[start:at]
        name = names.get(raw)
        if name is None:
            name = _text(raw)
            if len(names) < _MOST_NAMES:
                names[raw] = name
        kind = data[at]
        if kind == 0x56:  # V
            table[name] = None
            at += 1
        elif kind == 0x53:  # S
            start = at + 5
            at = start + _unpack_length(data, at + 1)[0]
            table[name] = _text(data[start:at])
        else:
            table[name], at = _value(data, at)
    return table


def _text(raw: bytes) -> Any:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8", "surrogateescape")


#: Types of a fixed size: letter -> how to unpack, and the size (RabbitMQ's meaning of the letters).
_FIXED: Final[dict[int, tuple[Callable[..., tuple[Any, ...]], int]]] = {
    ord(letter): (struct.Struct(">" + code).unpack_from, struct.calcsize(">" + code))
    for letter, code in {
        "I": "i",
        "i": "I",
        "l": "q",
        "L": "q",
        "t": "?",
        "d": "d",
        "f": "f",
        "s": "h",
        "u": "H",
        "U": "h",
        "b": "b",
        "B": "B",
    }.items()
}


def _value(data: bytes, at: int) -> tuple[Any, int]:
    kind = data[at]
    at += 1
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return fixed[0](data, at)[0], at + fixed[1]
    if kind == 0x56:
        return None, at
    if kind in b"SxFA":
        start = at + 4
        end = start + _unpack_length(data, at)[0]
        if kind == 0x53:
            return _text(data[start:end]), end
        if kind == 0x46:
            return _decode_in_full(data, start, end), end
        return (_array(data, start, end) if kind == 0x41 else data[start:end]), end
    if kind == 0x54:  # T
        return dt.datetime.fromtimestamp(struct.unpack_from(">Q", data, at)[0], tz=dt.UTC), at + 8
    if kind == 0x44:  # D
        scale, whole = struct.unpack_from(">Bi", data, at)
        return Decimal(whole).scaleb(-scale), at + 5
    raise TransportError(f"expected a type of AMQP's field tables, got {bytes((kind,))!r}")


def _array(data: bytes, at: int, end: int) -> list[Any]:
    items = []
    while at < end:
        item, at = _value(data, at)
        items.append(item)
    return items
