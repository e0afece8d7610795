"""The kinds of value that a setting may have: how each is checked, and how each is read from text.

A setting's kind is made from the text of its annotation (:func:`kind_of`), so that what a type checker knows and what is
checked at run time cannot differ.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from umbel.suggestions import suggest

__all__ = ["Kind", "Refused", "Seconds", "Urls", "kind_of"]

_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})
_NOTHING: Final = frozenset({"none", "null"})


class Refused(ValueError):
    """Raised when a value is not of its kind; its text, which may be empty, is a hint for the user."""


class Kind:
    """Any value at all, and the interface of every kind."""

    expected = "any value"

    def accept(self, value: Any) -> Any:
        """Return *value* as it is to be kept; raise :class:`Refused` when it is not of this kind."""
        return value

    def parse(self, text: str) -> Any:
        """Return the value that *text* (an environment variable, a command line) stands for."""
        import json  # with the other imports of this package it would double its time to load

        try:
            return self.accept(json.loads(text))
        except json.JSONDecodeError:
            return self.accept(text)


class _Bool(Kind):
    expected = "true or false"

    def accept(self, value: Any) -> Any:
        if isinstance(value, bool):
            return value
        if isinstance(value, int) and value in (0, 1):
            return bool(value)
        if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
            raise Refused(f"write {value.lower() in _TRUE} without quotes")
        raise Refused

    def parse(self, text: str) -> Any:
        """B521: true/yes/1/on and false/no/0/off."""
        word = text.lower()
        if word not in _TRUE | _FALSE:
            raise Refused("write true or false")
        return word in _TRUE


class _Int(Kind):
    expected = "a whole number"

    def accept(self, value: Any) -> Any:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused("write the number without quotes" if isinstance(value, str) and value.isdigit() else "")
        return value

    def parse(self, text: str) -> Any:
        try:
            return int(text)
        except ValueError:
            raise Refused from None


class _Float(Kind):
    expected = "a number"

    def accept(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - NaN
            raise Refused
        return float(value)

    def parse(self, text: str) -> Any:
        try:
            return self.accept(float(text))
        except ValueError:
            raise Refused from None


class Seconds(_Float):
    """A length of time: seconds, or a ``timedelta`` (A548), kept as seconds."""

    expected = "a number of seconds or a timedelta"

    def accept(self, value: Any) -> Any:
        return value.total_seconds() if isinstance(value, dt.timedelta) else super().accept(value)


class _Str(Kind):
    expected = "a string"

    def accept(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise Refused
        return value

    def parse(self, text: str) -> Any:
        return text


class Urls(_Str):
    """One URL, or several for fail-over: a list of them, or one string with ``;`` between."""

    expected = "a URL or a list of URLs"

    def accept(self, value: Any) -> Any:
        if isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in value):
            return ";".join(value)
        return super().accept(value)


class _Strings(Kind):
    expected = "a list of strings"

    def accept(self, value: Any) -> Any:
        if isinstance(value, str):  # a lone string is accepted too (B016)
            return (value,)
        if isinstance(value, AbstractSet):
            value = sorted(value, key=str)
        if not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
            raise Refused
        return tuple(value)

    def parse(self, text: str) -> Any:
        if text.startswith("["):
            return super().parse(text)
        return tuple(item.strip() for item in text.split(",") if item.strip())


class _Dict(Kind):
    expected = "a mapping"

    def accept(self, value: Any) -> Any:
        if isinstance(value, dict):  # kept, not copied: `conf.beat_schedule["x"] = ...` must go on working
            return value
        if not isinstance(value, Mapping):
            raise Refused
        return dict(value)

    def parse(self, text: str) -> Any:
        import json  # as above

        try:
            return self.accept(json.loads(text))
        except json.JSONDecodeError:
            raise Refused('write JSON, as in {"key": 1}') from None


class _Choice(Kind):
    """One of a few values, from ``Literal[...]``."""

    def __init__(self, choices: tuple[Any, ...]) -> None:
        self._choices = choices
        self.expected = " or ".join(map(repr, choices))

    def accept(self, value: Any) -> Any:
        if isinstance(value, bool) or value not in self._choices:
            raise Refused(suggest(value, map(str, self._choices))[2:] if isinstance(value, str) else "")
        return value

    def parse(self, text: str) -> Any:
        return self.accept(next((choice for choice in self._choices if str(choice) == text), text))


class _Nothing(Kind):
    expected = "nothing (None)"

    def accept(self, value: Any) -> Any:
        if value is not None:
            raise Refused
        return None

    def parse(self, text: str) -> Any:
        if text.lower() not in _NOTHING:
            raise Refused
        return None


class _Either(Kind):
    """The first of several kinds that takes the value."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        # "none" must be tried before the kinds that take any text
        self._kinds = sorted(kinds, key=lambda kind: (not isinstance(kind, _Nothing), isinstance(kind, _Str)))
        self.expected = " or ".join(kind.expected for kind in kinds if not isinstance(kind, _Nothing))

    def accept(self, value: Any) -> Any:
        return self._first(value, "accept")

    def parse(self, text: str) -> Any:
        return self._first(text, "parse")

    def _first(self, value: Any, how: str) -> Any:
        hint = ""
        for kind in self._kinds:
            try:
                return getattr(kind, how)(value)
            except Refused as refused:
                hint = hint or str(refused)
        raise Refused(hint)


_PLAIN: Final[dict[str, Kind]] = {
    "Any": Kind(),
    "bool": _Bool(),
    "int": _Int(),
    "float": _Float(),
    "str": _Str(),
    "tuple[str, ...]": _Strings(),
    "dict[str, Any]": _Dict(),
    "None": _Nothing(),
}
_MADE: Final[dict[str, Kind]] = dict(_PLAIN)


def kind_of(annotation: Any, first: Kind | None = None) -> Kind:
    """Return the kind for *annotation* (its text, or the type); one that is not known here takes any value.

    *first* stands in for the first member of a union: ``kind_of("float | None", Seconds())``.
    """
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", None) or str(annotation)
    if first is None:
        made = _MADE.get(text)
        if made is not None:
            return made
    members = _members(text)
    kinds = [_single(member) for member in members]
    if first is not None:
        kinds[0] = first
    kind = kinds[0] if len(kinds) == 1 else _Either(kinds)
    if first is None:
        _MADE[text] = kind
    return kind


def _members(text: str) -> list[str]:
    """Split a union at the bars that are not inside brackets."""
    members, depth, start = [], 0, 0
    for index, char in enumerate(text):
        depth += (char in "[(") - (char in "])")
        if char == "|" and not depth:
            members.append(text[start:index].strip())
            start = index + 1
    return [*members, text[start:].strip()]


def _single(text: str) -> Kind:
    if text in _PLAIN:
        return _PLAIN[text]
    if text.startswith("Literal["):
        return _Choice(tuple(_literal(item.strip()) for item in text[8:-1].split(",")))
    if text.startswith(("dict[", "Mapping[")):
        return _PLAIN["dict[str, Any]"]
    return _PLAIN["Any"]


def _literal(text: str) -> Any:
    """Read a string or a whole number as it is written in an annotation (``ast`` is slow to import)."""
    return text[1:-1] if text[0] in "'\"" else int(text)
