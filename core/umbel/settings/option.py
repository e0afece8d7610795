"""One setting as data: what it is called, what it may hold, what it means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from umbel.settings.kinds import Kind, Refused, kind_of

__all__ = ["SAME", "Option", "at_least", "collect", "more_than", "not_empty", "option"]

#: Stands for "Celery's default is ours".
SAME: Final[Any] = type("Same", (), {"__repr__": lambda self: "SAME"})()

#: Group -> how Celery spelt its names before version 4. Groups without a line were written in upper case as they are.
_OLD_SPELLING: Final = {
    "": "CELERY_{}",
    "task": "CELERY_{}",
    "worker": "CELERYD_{}",
    "beat": "CELERYBEAT_{}",
    "event": "CELERY_EVENT_{}",
    "result": "CELERY_RESULT_{}",
    "security": "CELERY_SECURITY_{}",
}

_UNGROUPED: Final = frozenset({"accept_content", "enable_utc", "timezone", "imports", "include"})


class Option:
    """A setting: a row of the table :data:`umbel.settings.OPTIONS`.

    *old* holds the upper-case names it had, the most usual first; *celery_default* is :data:`SAME` unless Umbel's
    default differs; *deprecated* says what to use instead; *inert* why it changes nothing in Umbel.
    """

    __slots__ = (
        "celery_default",
        "check",
        "default",
        "deprecated",
        "doc",
        "inert",
        "kind",
        "name",
        "old",
        "own",
        "secret",
        "type",
    )

    def __init__(self, default: Any, doc: str, **details: Any) -> None:
        self.default = default
        self.doc = doc
        self.name = ""
        self.type = "Any"
        self.celery_default: Any = details.get("celery_default", SAME)
        self.kind: Kind | None = details.get("kind")
        self.check: Callable[[Any], str | None] | None = details.get("check")
        self.old: tuple[str, ...] = details.get("old", ())
        self.secret: bool = details.get("secret", False)
        self.own: bool = details.get("own", False)
        self.deprecated: str = details.get("deprecated", "")
        self.inert: str = details.get("inert", "")

    def bind(self, name: str, annotation: str) -> None:
        """Learn the name and type from the class body that this row stands in."""
        self.name = name
        self.type = annotation
        self.kind = kind_of(annotation, self.kind)
        group, _, key = ("", "", name) if name in _UNGROUPED else name.partition("_")
        spelling = _OLD_SPELLING.get(group)
        spelt = spelling.format(key.upper()) if spelling else name.upper()
        if not self.own:
            self.old = tuple(dict.fromkeys((*self.old, spelt)))

    def fresh_default(self) -> Any:
        """Return the default; a new copy where it is a mapping that users may write to."""
        return dict(self.default) if isinstance(self.default, dict) else self.default

    def accept(self, value: Any) -> Any:
        """Return *value* as it is to be kept; raise :class:`~umbel.settings.kinds.Refused` when it may not be set."""
        kind = self.kind
        return self._checked(kind.accept(value) if kind is not None else value)

    def parse(self, text: str) -> Any:
        """Return what *text* stands for, checked."""
        kind = self.kind
        return self._checked(kind.parse(text) if kind is not None else text)

    @property
    def expected(self) -> str:
        """What may be set, in words."""
        return self.kind.expected if self.kind is not None else "any value"

    def _checked(self, value: Any) -> Any:
        if self.check is not None and value is not None:
            complaint = self.check(value)
            if complaint:
                raise Refused(complaint)
        return value

    def __repr__(self) -> str:
        return f"<Option {self.name}: {self.type} = {self.default!r}>"


def option(
    default: Any,
    doc: str,
    *,
    celery_default: Any = SAME,
    kind: Kind | None = None,
    check: Callable[[Any], str | None] | None = None,
    old: tuple[str, ...] = (),
    secret: bool = False,
    own: bool = False,
    deprecated: str = "",
    inert: str = "",
) -> Any:
    """Describe the setting that is assigned to; *own* marks those that Celery does not have."""
    return Option(
        default,
        doc,
        celery_default=celery_default,
        kind=kind,
        check=check,
        old=old,
        secret=secret,
        own=own,
        deprecated=deprecated,
        inert=inert,
    )


def collect(*sections: type[Any]) -> dict[str, Option]:
    """Return the rows of *sections* by name, in the order they are written in."""
    table: dict[str, Option] = {}
    for section in sections:
        for name, annotation in section.__annotations__.items():
            row: Option = section.__dict__[name]
            row.bind(name, annotation)
            table[name] = row
    return table


def at_least(least: float) -> Callable[[Any], str | None]:
    """Refuse numbers below *least*."""

    def check(value: Any) -> str | None:
        return f"it must be {least} or more" if isinstance(value, int | float) and value < least else None

    return check


def more_than(bound: float) -> Callable[[Any], str | None]:
    """Refuse numbers that are not above *bound*."""

    def check(value: Any) -> str | None:
        return f"it must be more than {bound}" if isinstance(value, int | float) and value <= bound else None

    return check


def not_empty(value: Any) -> str | None:
    """Refuse what is empty."""
    return None if value else "it must not be empty"
