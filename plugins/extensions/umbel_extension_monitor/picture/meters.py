"""Rates and run times of the last seconds, in bounded memory."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["ENDINGS", "Histogram", "Meter", "step"]

#: What ends a task, by the rest of the type of its event.
ENDINGS: Final = ("succeeded", "failed", "revoked", "rejected")

#: The steps of a histogram: so many for each doubling, from a microsecond on.
_STEPS: Final = 4
_LEAST_S: Final = 1e-6


def step(seconds: float) -> int:
    """Return where in a :class:`Histogram` a span of time is counted. Nonsense counts as no time at all."""
    if not math.isfinite(seconds):
        return 0
    return int(math.log2(max(seconds, _LEAST_S) / _LEAST_S) * _STEPS)


class Histogram:
    """Spans of time by logarithmic steps of a fifth: a percentile is right within a tenth, at some bytes a step."""

    __slots__ = ("steps", "total")

    def __init__(self) -> None:
        self.steps: dict[int, int] = {}
        self.total = 0

    def add(self, at: int) -> None:
        """Count one span, by its :func:`step`."""
        self.steps[at] = self.steps.get(at, 0) + 1
        self.total += 1

    def merge(self, others: Iterable[Histogram]) -> Histogram:
        """Take in what *others* have counted; return itself."""
        for other in others:
            for at, number in other.steps.items():
                self.steps[at] = self.steps.get(at, 0) + number
            self.total += other.total
        return self

    def percentile(self, percent: float) -> float | None:
        """Return the span that *percent* of all do not exceed, or ``None`` when there are none."""
        if not self.total:
            return None
        wanted = self.total * percent / 100
        so_far = at = 0
        for at in sorted(self.steps):
            so_far += self.steps[at]
            if so_far >= wanted:
                break
        return _LEAST_S * float(2 ** ((at + 0.5) / _STEPS))


class _Second:
    __slots__ = ("counts", "run_times", "waits")

    def __init__(self) -> None:
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.run_times = Histogram()
        self.waits = Histogram()


class Meter:
    """Counts by kind, run times and waits, for each of the last *seconds*. Times are Unix seconds. For one lock.

    The kind ``ended`` stands for all of :data:`ENDINGS`.
    """

    def __init__(self, seconds: int) -> None:
        self._most = seconds
        self._seconds: dict[int, _Second] = {}
        self._latest = (0, _Second())
        #: All that was counted, by kind.
        self.totals: defaultdict[str, int] = defaultdict(int)

    def _at(self, key: int) -> _Second:
        if key == self._latest[0]:
            return self._latest[1]
        second = self._seconds.get(key)
        if second is None:
            second = self._seconds[key] = _Second()
            if len(self._seconds) > self._most:
                oldest = key - self._most
                for other in [other for other in self._seconds if other <= oldest] or [min(self._seconds)]:
                    del self._seconds[other]
        self._latest = (key, second)
        return second

    def add(self, now: float, kind: str, run_time: int | None = None) -> None:
        """Count one of *kind*; *run_time* is the :func:`step` of how long it ran."""
        second = self._at(int(now))
        second.counts[kind] += 1
        self.totals[kind] += 1
        if run_time is not None:
            second.run_times.add(run_time)

    def add_wait(self, now: float, wait: int) -> None:
        """Count the :func:`step` of how long a task waited until it was started."""
        self._at(int(now)).waits.add(wait)

    def series(self, now: float, kind: str, length: int) -> list[int]:
        """Return the counts of *kind* of the last *length* whole seconds, the oldest first."""
        kinds = ENDINGS if kind == "ended" else (kind,)
        found = [self._seconds.get(second) for second in _last(now, length)]
        return [0 if second is None else sum(second.counts.get(one, 0) for one in kinds) for second in found]

    def rate(self, now: float, kind: str, over: int = 5) -> float:
        """Return how many of *kind* came in a second, over the last *over* whole seconds."""
        return sum(self.series(now, kind, over)) / over

    def run_time_series(self, now: float, percent: float, length: int) -> list[float]:
        """Return a percentile of the run times of each of the last *length* whole seconds; 0 where nothing ended."""
        found = [self._seconds.get(second) for second in _last(now, length)]
        return [0.0 if second is None else second.run_times.percentile(percent) or 0.0 for second in found]

    def run_times(self, now: float, over: int = 60) -> Histogram:
        """Return the run times of the last *over* seconds."""
        return Histogram().merge(second.run_times for second in self._recent(now, over))

    def waits(self, now: float, over: int = 60) -> Histogram:
        """Return the waits of the last *over* seconds."""
        return Histogram().merge(second.waits for second in self._recent(now, over))

    def _recent(self, now: float, over: int) -> Sequence[_Second]:
        return [second for key, second in self._seconds.items() if key > int(now) - over]


def _last(now: float, length: int) -> range:
    return range(int(now) - length, int(now))
