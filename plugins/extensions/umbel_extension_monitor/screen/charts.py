"""Columns of the last seconds, as high as there is room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from umbel_extension_monitor.screen.tones import TONES

__all__ = ["Chart", "spark"]

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"


def spark(values: Sequence[float], width: int) -> str:
    """Return *values* as one line of *width* columns, from zero to the largest; each stands for the highest of several."""
    several = max(1, -(-len(values) // max(1, width)))
    first = len(values) % several
    groups = [values[:first]] if first else []
    shown = [
        max(group) for group in [*groups, *(values[at : at + several] for at in range(first, len(values), several))]
    ]
    most = max(shown, default=0) or 1
    return "".join(_EIGHTHS[_height(value, most, 8)] for value in shown).rjust(width)


def _height(value: float, most: float, eighths: int) -> int:
    """Return how many eighths of *eighths* a value is high; what is not nothing is seen."""
    if value <= 0 or most <= 0:
        return 0
    return max(1, min(eighths, round(value / most * eighths)))


class Chart(Widget):
    """Draws two series, one in front of the other: *series* is asked for the last ``width`` values of both.

    The front one is not larger than the back one: those that failed of those that ended, the median before the
    highest twentieth.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"tone--{tone}" for tone in TONES}
    DEFAULT_CSS = "Chart {\n" + "".join(f"& > .tone--{tone} {{ {css} }}\n" for tone, css in TONES.items()) + "}"

    def __init__(
        self,
        series: Callable[[int], tuple[Sequence[float], Sequence[float]]],
        back: str,
        front: str,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._series = series
        self._tones = back, front
        self._columns: list[tuple[int, int]] = []

    def update(self) -> None:
        """Draw anew."""
        backs, fronts = self._series(max(1, self.size.width))
        most, eighths = max(backs, default=0), max(1, self.size.height) * 8
        self._columns = [
            (_height(back, most, eighths), _height(front, most, eighths))
            for back, front in zip(backs, fronts, strict=True)
        ]
        self.refresh()

    def on_resize(self) -> None:
        """Fill the new size."""
        self.update()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the columns."""
        base = self.visual_style.rich_style
        back, front = (self.get_component_rich_style(f"tone--{tone}", partial=True) for tone in self._tones)
        floor = (self.size.height - 1 - y) * 8
        segments = [_part(high - floor, low - floor, base, back, front) for high, low in self._columns]
        return Strip(segments).adjust_cell_length(self.size.width, base).simplify()


def _part(high: int, low: int, base: Style, back: Style, front: Style) -> Segment:
    """Draw one cell of a column that is *high* eighths from the cell's floor, its front *low* ones."""
    if low >= 8:
        return Segment("█", base + front)
    if low > 0:
        style = base + front
        return Segment(_EIGHTHS[low], style + Style(bgcolor=back.color) if high >= 8 else style)
    return Segment(_EIGHTHS[max(0, min(8, high))], base + back)
