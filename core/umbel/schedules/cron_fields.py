"""The fields of a crontab as sets of numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from umbel.exceptions import ImproperlyConfigured

__all__ = ["ParseException", "crontab_parser", "expand"]

_DAYS: Final = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_PART: Final = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\w+))?\Z")


class ParseException(ImproperlyConfigured):
    """A field of a crontab that cannot be read."""


class crontab_parser:
    """Reads one field: ``*``, ``5``, ``1-5``, ``*/15``, ``8-17/2``, names of days and months, and lists of these.

    *max_* is how many values the field has, *min_* the smallest: ``crontab_parser(24)`` for hours. A range may run over
    the end: ``22-2``. A step counts from the smallest value of what it divides: ``*/5`` of hours is 0, 5, ..., 20.
    """

    def __init__(self, max_: int = 60, min_: int = 0) -> None:
        self.max_ = max_
        self.min_ = min_

    def parse(self, spec: str) -> set[int]:
        """Return the numbers. Raises :class:`ParseException` that names the part that is wrong."""
        found: set[int] = set()
        for part in spec.split(","):
            found |= self._part(part.strip(), spec)
        return found

    def _part(self, part: str, spec: str) -> set[int]:
        match = _PART.match(part)
        if match is None:
            raise ParseException(
                f"{spec!r}: expected parts such as *, 5, 1-5, */15 or 8-17/2 with commas between, got {part!r}"
            )
        first, last, step = match["first"], match["last"], match["step"]
        if first is None:
            values = list(range(self.min_, self.min_ + self.max_))
        else:
            values = self._range(self._number(first, spec), None if last is None else self._number(last, spec))
        if step is None:
            return set(values)
        if not step.isdecimal() or int(step) < 1:
            raise ParseException(f"{spec!r}: expected a step of 1 or more after '/', got {step!r}")
        return set(values[:: int(step)])

    def _range(self, first: int, last: int | None) -> list[int]:
        if last is None:
            return [first]
        if last >= first:
            return list(range(first, last + 1))
        return [*range(first, self.min_ + self.max_), *range(self.min_, last + 1)]

    def _number(self, text: str, spec: str) -> int:
        number = int(text) if text.isdecimal() else self._named(text)
        if number is None or not self.min_ <= number < self.min_ + self.max_:
            raise ParseException(
                f"{spec!r}: expected a number from {self.min_} to {self.min_ + self.max_ - 1}"
                f"{' or a name' if self.max_ in (7, 12) else ''}, got {text!r}"
            )
        return number

    def _named(self, text: str) -> int | None:
        names = {7: (_DAYS, "sunday monday tuesday wednesday thursday friday saturday"), 12: (_MONTHS, _LONG_MONTHS)}
        if self.max_ not in names:
            return None
        short, full = names[self.max_]
        name = text.lower()
        return short.get(name[:3]) if len(name) == 3 or name in full.split() else None


_LONG_MONTHS: Final = "january february march april may june july august september october november december"


def expand(value: Any, max_: int, min_: int = 0) -> set[int]:
    """Return what a field of :class:`~umbel.schedules.crontab` means: a number, text, or a list of numbers.

    Raises :class:`ParseException` for what is out of its bounds, ``TypeError`` for another type.
    """
    if isinstance(value, bool):
        raise TypeError(f"expected a field of a crontab to be a number, text or a list of numbers, got {value!r}")
    if isinstance(value, int):
        found = {value}
    elif isinstance(value, str):
        found = crontab_parser(max_, min_).parse(value)
    elif isinstance(value, Iterable):
        found = set()
        for item in value:
            found |= expand(item, max_, min_)
    else:
        raise TypeError(f"expected a field of a crontab to be a number, text or a list of numbers, got {value!r}")
    wrong = sorted(number for number in found if not min_ <= number < min_ + max_)
    if wrong or not found:
        raise ParseException(
            f"expected numbers from {min_} to {min_ + max_ - 1}, got {wrong[0] if wrong else 'none'} in {value!r}"
        )
    return found
