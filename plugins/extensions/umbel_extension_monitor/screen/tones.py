"""The colours of meanings, and text cut to width."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from rich.cells import cell_len, set_cell_size
from textual.theme import Theme

__all__ = ["DARK", "LIGHT", "STATE_MARKS", "TONES", "fit", "fit_name", "state_tone"]

#: Tone -> its colours in Textual's CSS. A tone is a component class ``tone--<name>`` of each widget that draws lines.
TONES: Final = {
    "good": "color: $success;",
    "bad": "color: $error;",
    "busy": "color: $primary;",
    "warn": "color: $warning;",
    "odd": "color: $secondary;",
    "plain": "color: $foreground;",
    "dim": "color: $dim;",
    "faint": "color: $faint;",
    "strong": "color: $foreground; text-style: bold;",
}

#: Each state's mark and tone. The mark tells it also where there are no colours.
STATE_MARKS: Final = {
    "PENDING": ("·", "faint"),
    "RECEIVED": ("◦", "dim"),
    "STARTED": ("▸", "busy"),
    "SUCCESS": ("✓", "good"),
    "FAILURE": ("✗", "bad"),
    "RETRY": ("↻", "warn"),
    "REVOKED": ("⊘", "odd"),
    "REJECTED": ("⊘", "odd"),
}

DARK: Final = Theme(
    name="umbel-dark",
    primary="#5fb3f9",
    secondary="#c792ea",
    accent="#7fdbca",
    success="#8bd17c",
    warning="#f2c14e",
    error="#ff6b6b",
    foreground="#d8dee9",
    background="#11151c",
    surface="#161b24",
    panel="#1f2632",
    dark=True,
    variables={"dim": "#8590a2", "faint": "#545e70"},
)
LIGHT: Final = Theme(
    name="umbel-light",
    primary="#0b63b0",
    secondary="#7c3aa8",
    accent="#0a7d6c",
    success="#2c7a1f",
    warning="#9a6700",
    error="#c22f2f",
    foreground="#1f2933",
    background="#fafaf7",
    surface="#f2f2ee",
    panel="#e4e4de",
    dark=False,
    variables={"dim": "#66707c", "faint": "#a3abb5"},
)


def state_tone(state: str) -> tuple[str, str]:
    """Return the mark and the tone of a state, also of one of somebody's own."""
    return STATE_MARKS.get(state, ("•", "odd"))


@lru_cache(maxsize=8192)
def fit(text: str, width: int, right: bool = False) -> str:
    """Return *text* in exactly *width* cells, cut with an ellipsis where it is longer."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    padding = " " * (width - length)
    return padding + text if right else text + padding


@lru_cache(maxsize=8192)
def fit_name(text: str, width: int) -> str:
    """Return a dotted name in at most *width* cells; its front parts give way: ``shop.orders.charge``, ``s.o.charge``.

    Where even that is too long its end is kept, which tells it from others.
    """
    parts = text.split(".")
    for number in range(len(parts) - 1):
        if cell_len(".".join(parts)) <= width:
            break
        parts[number] = parts[number][:1]
    kept = ".".join(parts)
    if cell_len(kept) <= width:
        return kept
    while kept and cell_len(kept) > width - 1:
        kept = kept[1:]
    return f"…{kept}"
