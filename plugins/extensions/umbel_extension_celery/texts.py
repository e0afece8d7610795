"""Texts that programs make with Celery's functions."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import pprint
import textwrap
from typing import Any, Final
from uuid import UUID

__all__ = [
    "abbr",
    "b64decode",
    "b64encode",
    "dedent",
    "indent",
    "join",
    "jsonify",
    "pluralize",
    "pretty",
    "str_to_list",
    "strtobool",
    "truncate",
]

dedent = textwrap.dedent
_TRUTHS: Final = {
    "false": False,
    "no": False,
    "0": False,
    "off": False,
    "true": True,
    "yes": True,
    "1": True,
    "on": True,
}


def str_to_list(s: Any) -> Any:
    """Return text with commas as a list, anything else as it is."""
    return s.split(",") if isinstance(s, str) else s


def join(items: Any, sep: str = "\n") -> str:
    """Join what is not empty."""
    return sep.join(filter(None, items))


def indent(t: str, indent: int = 0, sep: str = "\n") -> str:
    """Indent each line."""
    return sep.join(" " * indent + line for line in t.split(sep))


def truncate(s: str, maxlen: int = 128, suffix: str = "...") -> str:
    """Cut text at *maxlen* characters."""
    return s[:maxlen].rsplit(" ", 1)[0] + suffix if maxlen and len(s) >= maxlen else s


def abbr(S: str, max: int, ellipsis: str | bool = "...") -> str:  # noqa: N803
    """Cut text so that it has *max* characters with *ellipsis*."""
    if S is None:
        return "???"
    if len(S) <= max:
        return S
    return f"{S[: max - len(ellipsis)]}{ellipsis}" if isinstance(ellipsis, str) and ellipsis else S[:max]


def pluralize(n: int, text: str, suffix: str = "s") -> str:
    """Return *text* for *n* things."""
    return text + suffix if n != 1 else text


def pretty(value: Any, width: int = 80, nl_width: int = 80, sep: str = "\n", **kw: Any) -> str:
    """Return a value for people."""
    return pprint.pformat(value, width=nl_width, **kw)


def b64encode(s: bytes | str) -> str:
    """Return base64 text."""
    return base64.b64encode(s.encode() if isinstance(s, str) else s).decode()


def b64decode(s: bytes | str) -> bytes:
    """Return what base64 text says."""
    return base64.b64decode(s.encode() if isinstance(s, str) else s)


def strtobool(term: Any, table: Any = None) -> Any:
    """Return the truth that text says (``yes``, ``off`` ...); what is no text is returned as it is."""
    if not isinstance(term, str):
        return term
    try:
        return (table or _TRUTHS)[term.lower()]
    except KeyError:
        raise TypeError(f"cannot read {term!r} as true or false") from None


def jsonify(obj: Any, builtin_types: tuple[type, ...] = (int, float, str), key: Any = None, **_: Any) -> Any:
    """Return a value with nothing in it that JSON lacks."""
    if obj is None or isinstance(obj, builtin_types):
        return obj
    if isinstance(obj, list | tuple | set | frozenset):
        return [jsonify(item) for item in obj]
    if isinstance(obj, dict):
        return {str(name): jsonify(value) for name, value in obj.items()}
    if isinstance(obj, dt.datetime | dt.date | dt.time):
        return obj.isoformat()
    if isinstance(obj, dt.timedelta | decimal.Decimal | UUID):
        return str(obj)
    raise ValueError(f"cannot make JSON of {type(obj).__name__}")
