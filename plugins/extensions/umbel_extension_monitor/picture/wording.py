"""Numbers, times and foreign text as they stand on the screen."""

from __future__ import annotations

import math
import time
import unicodedata
from functools import lru_cache
from typing import Any, Final

__all__ = ["age", "clean", "clean_lines", "clock_time", "count", "duration", "per_second"]

_MOST_SHOWN: Final = 2000


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """Return *text* on one line, without what would steer the terminal: it may come from anywhere."""
    return "".join(map(_harmless, text[:_MOST_SHOWN]))


def clean_lines(text: Any) -> list[str]:
    """Return the lines of *text*, each harmless; tabs are four blanks."""
    return [
        "".join(map(_harmless, line[:_MOST_SHOWN]))
        for line in str(text).expandtabs(4).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    ]


@lru_cache(maxsize=4096)
def _harmless(character: str) -> str:
    if character.isprintable():
        return character
    if character in "\n\r\t":
        return " "
    category = unicodedata.category(character)
    return " " if category.startswith("Z") else "\N{REPLACEMENT CHARACTER}"


def count(number: float | None) -> str:
    """Return a number in at most six places: ``12``, ``1,204``, ``48.2k``, ``3.1M``."""
    if number is None or not math.isfinite(number):
        return "-"
    if abs(number) < 10_000:
        return f"{number:,.0f}"
    for divisor, unit in ((1e3, "k"), (1e6, "M")):
        if abs(number) < divisor * 999.5:
            value = number / divisor
            return f"{value:.1f}{unit}" if abs(value) < 99.95 else f"{value:.0f}{unit}"
    return f"{number / 1e9:.1f}G"


def per_second(rate: float) -> str:
    """Return a rate: ``0``, ``0.3``, ``12``, ``4,120``."""
    if 0 < rate < 9.95:
        return f"{rate:.1f}"
    return count(round(rate))


def duration(seconds: float | None) -> str:
    """Return a span of time in at most six places: ``85µs``, ``12ms``, ``1.2s``, ``3m05s``, ``2h10m``."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    seconds = max(0.0, seconds)
    for most, factor, unit in ((0.00095, 1e6, "µs"), (0.9995, 1e3, "ms")):
        if seconds < most:
            value = seconds * factor
            return f"{value:.1f}{unit}" if 0 < value < 9.95 else f"{value:.0f}{unit}"
    if seconds < 59.95:
        return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h" if days < 100 else f"{days}d"


def age(then: float | None, now: float) -> str:
    """Return how long ago *then* was, in whole seconds, minutes, hours or days."""
    if not then:
        return "-"
    seconds = max(0, int(now - then))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def clock_time(then: float | None) -> str:
    """Return the time of day of *then*, to the millisecond, where this machine stands."""
    if not then:
        return "-"
    return time.strftime("%H:%M:%S", time.localtime(then)) + f".{int(then % 1 * 1000):03d}"
