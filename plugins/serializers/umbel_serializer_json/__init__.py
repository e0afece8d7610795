"""The default serializer: JSON, with the marks that kombu uses for what JSON lacks.

Written by the standard library's C encoder, so the bytes are Celery's, except what is known to be plain. Read by orjson; where orjson and the standard
library differ (marked values, numbers beyond 64 bits, ``NaN``, lone surrogates) the standard library decides.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import re
import sys
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Serializer

__all__ = ["JsonSerializer", "plugin_info", "umbel_serializers"]

plugin_info = PluginInfo(
    kind="serializer",
    names=("json",),
    summary="JSON with dates, decimals, UUIDs and bytes; safe, and readable by every Celery client",
    requires=("orjson",),
)

#: Type -> mark and text; ``datetime`` stands before ``date``, whose subclass it is.
_MARKS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    dt.datetime: ("datetime", dt.datetime.isoformat),
    dt.date: ("date", dt.date.isoformat),
    dt.time: ("time", dt.time.isoformat),
    decimal.Decimal: ("decimal", str),
    uuid.UUID: ("uuid", lambda value: {"hex": value.hex}),
}
_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "datetime": dt.datetime.fromisoformat,
    "date": lambda text: dt.datetime.fromisoformat(text).date(),
    "time": dt.time.fromisoformat,
    "decimal": decimal.Decimal,
    "uuid": lambda fields: uuid.UUID(**fields),
    "bytes": lambda text: text.encode(),
    "base64": base64.b64decode,
}
_CURES: Final[dict[type, str]] = {
    set: "pass a list, such as sorted(value)",
    frozenset: "pass a list, such as sorted(value)",
    dt.timedelta: "pass value.total_seconds()",
}


def _default(value: Any) -> Any:
    if (reducer := getattr(value, "__json__", None)) is not None:
        return reducer()
    if isinstance(value, bytes):
        try:
            return {"__type__": "bytes", "__value__": value.decode()}
        except UnicodeDecodeError:
            return {"__type__": "base64", "__value__": base64.b64encode(value).decode()}
    for kind, (mark, write) in _MARKS.items():
        if isinstance(value, kind):
            return {"__type__": mark, "__value__": write(value)}
    # Django's lazy translations, as kombu does; nobody has one who has not imported this module.
    django = sys.modules.get("django.utils.functional")
    if django is not None and isinstance(value, django.Promise):
        return str(value)
    cure = _CURES.get(type(value), "give its class a __json__() method, or pass plain values")
    raise TypeError(f"{type(value).__qualname__} is not JSON: {cure}")


def _cached_encoder() -> Callable[[Any], str]:
    """Return what ``json.dumps(default=...)`` does, with the C encoder made once instead of once a call (half the time).

    It keeps no table of open containers, which could not be shared by threads; a circular value ends in RecursionError.
    """
    encoder = json.JSONEncoder(default=_default, check_circular=False)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    text = json.encoder.encode_basestring_ascii
    chunks = make(None, _default, text, None, encoder.key_separator, encoder.item_separator, False, False, True)
    join = "".join
    return lambda value: join(chunks(value, 0))


_encode = _cached_encoder()


def _object_hook(fields: dict[str, Any]) -> Any:
    if fields.keys() != {"__type__", "__value__"}:
        return fields
    try:
        return _READERS[fields["__type__"]](fields["__value__"])
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"cannot read a JSON value marked as {fields['__type__']!r}") from error


# What orjson would read otherwise than the standard library, or not at all:
# a mark may hide behind \u escapes of its letters; a whole number beyond 64 bits would become a float.
_hides_mark = re.compile(rb"\\u00[567]").search
_LONG_NUMBER: Final = b"9" * 19
_AS_NINES: Final = bytes(ord("9") if chr(byte).isdigit() and byte < 128 else 0 for byte in range(256))

#: From so many bytes on it pays to leave a part of them unread.
_LONG: Final = 1500


def _has_no_marks(data: bytes) -> bool:
    return b"__type__" not in data and not (b"\\" in data and _hides_mark(data))


class JsonSerializer(Serializer):
    """JSON as kombu writes it."""

    name = "json"
    content_type = "application/json"
    is_safe = True

    def dumps(self, value: Any) -> bytes:
        try:
            return _encode(value).encode()
        except RecursionError as error:
            raise ValueError("the value is nested too deeply for JSON, or contains itself") from error

    def dumps_plain(self, value: Any) -> bytes:
        try:
            return orjson.dumps(value)
        except orjson.JSONEncodeError:  # a lone surrogate, a number beyond 64 bits
            return self.dumps(value)

    # A quotation mark before a letter begins a text, since none that ends one is followed by a letter. So what is found
    # below by its quotation mark, name and all, is a key, and not part of a text; how deep it stands, decoding tells.

    def loads_beside(self, data: bytes, name: str) -> tuple[Any, bytes] | None:
        if len(data) < _LONG or not data.endswith(b"]}]"):
            return None
        start = data.find(b'"%b":' % name.encode()) + len(name) + 3
        if data[start : start + 1] == b" ":
            start += 1
        if start < len(name) + 3 or data[start : start + 1] != b"[":
            return None
        try:
            return self.loads(data[: start + 1] + b"]}]"), data[start + 1 : -3]
        except ValueError:  # another key of that name
            return None

    def dumps_beside(self, values: Sequence[Any], name: str, items: bytes) -> bytes:
        before = self.dumps(values)[: -len(b"}]")]
        return b'%b%b"%b": [%b]}]' % (before, b"" if before.endswith(b"{") else b", ", name.encode(), items)

    def loads_items(self, items: bytes) -> list[Any]:
        found: list[Any] = self.loads(b"[%b]" % items)
        return found

    def pop_item(self, items: bytes, first: str) -> tuple[dict[str, Any], bytes] | None:
        start = items.rfind(b'{"%b":' % first.encode())
        others = items[: max(start, 0)].rstrip()
        if start < 0 or (others and not others.endswith(b",")):
            return None
        try:
            last = self.loads(items[start:])
        except ValueError:  # it is inside of the last one
            return None
        return (last, others[:-1]) if type(last) is dict else None

    def loads(self, data: bytes) -> Any:
        if _has_no_marks(data) and (len(data) < 19 or _LONG_NUMBER not in data.translate(_AS_NINES)):
            try:
                return orjson.loads(data)
            except orjson.JSONDecodeError:
                pass  # NaN, a lone surrogate, or no JSON at all: the standard library decides
        try:
            return json.loads(data.decode(), object_hook=_object_hook)
        except RecursionError as error:
            raise ValueError("the JSON is nested too deeply") from error


@hookimpl
def umbel_serializers() -> Sequence[Serializer]:
    return [JsonSerializer()]
