"""Figures as Prometheus reads them: its text format, version 0.0.4."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["CONTENT_TYPE", "Exposition", "Histogram"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


class Histogram:
    """Counts values up to each of *bounds*, which ascend, and beyond them. Written by one thread, read by any."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count *value*."""
        place = 0
        for bound in self.bounds:
            if value <= bound:
                break
            place += 1
        self.counts[place] += 1
        self.total += value


class Exposition:
    """Collects lines. Names are ``umbel_`` and what is given; those of counters end in ``_total``."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, kind: str, help_text: str, samples: Sequence[tuple[Labels, float]]) -> None:
        """Add a family of *kind* ``counter`` or ``gauge`` with its *samples*."""
        self._head(name, kind, help_text)
        self._lines += [f"umbel_{name}{_labels(labels)} {_number(value)}" for labels, value in samples]

    def histograms(self, name: str, help_text: str, samples: Sequence[tuple[Labels, Histogram]]) -> None:
        """Add a family of histograms."""
        self._head(name, "histogram", help_text)
        for labels, histogram in samples:
            count = 0
            counts = list(histogram.counts)
            for bound, more in zip((*histogram.bounds, math.inf), counts, strict=True):
                count += more
                self._lines.append(f"umbel_{name}_bucket{_labels({**labels, 'le': _number(bound)})} {count}")
            self._lines.append(f"umbel_{name}_sum{_labels(labels)} {_number(histogram.total)}")
            self._lines.append(f"umbel_{name}_count{_labels(labels)} {count}")

    def _head(self, name: str, kind: str, help_text: str) -> None:
        text = help_text.replace("\\", r"\\").replace("\n", r"\n")
        self._lines += [f"# HELP umbel_{name} {text}", f"# TYPE umbel_{name} {kind}"]

    def __str__(self) -> str:
        return "\n".join([*self._lines, ""])


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = []
    for name, value in labels.items():
        escaped = str(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        pairs.append(f'{name}="{escaped}"')
    return "{" + ",".join(pairs) + "}"


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(int(value)) if float(value).is_integer() else repr(float(value))
