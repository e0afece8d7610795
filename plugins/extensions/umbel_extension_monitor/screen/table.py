"""A table of things that change all the time: it draws those rows alone that are seen, from the things themselves."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar

import attrs
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from umbel_extension_monitor.screen.tones import TONES, fit

__all__ = ["Cell", "Column", "LiveTable", "Part"]

T = TypeVar("T")

#: Text and its tone.
Part = tuple[str, str]
#: What stands in a column of a row.
Cell = Part | list[Part]
_GAP: Final = 2


@attrs.frozen(kw_only=True)
class Column(Generic[T]):
    """One column: *draw* gives a thing's text and tone, within the width that it is told.

    It is *width* cells wide, and *grow* shares of what is left over. Where there is no room for all columns those of
    the highest *rank* are left out; rank 0 stays. One with *spare* is left out unless so many cells are left over.
    """

    title: str
    draw: Callable[[T, int], Cell]
    width: int
    grow: int = 0
    rank: int = 0
    spare: int = 0
    right: bool = False


class LiveTable(ScrollView, Generic[T], can_focus=True):
    """Shows things of one kind, each known by its *key*.

    The cursor stays with its thing when the order changes. While it stands on the first row it stays there.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--header",
        "table--cursor",
        "table--cursor-away",
        *(f"tone--{tone}" for tone in TONES),
    }
    DEFAULT_CSS = (
        """
    LiveTable {
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        overflow-x: hidden;
        & > .table--header { color: $dim; text-style: bold; }
        & > .table--cursor { background: $primary 28%; }
        & > .table--cursor-away { background: $foreground 7%; }
    """
        + "".join(f"& > .tone--{tone} {{ {css} }}\n" for tone, css in TONES.items())
        + "}"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("home,g", "end(0)", "First", show=False),
        Binding("end,G", "end(1)", "Last", show=False),
        Binding("enter,i", "open", "Details", show=False),
    ]

    class Moved(Message):
        """The user has put the cursor elsewhere."""

        def __init__(self, table: LiveTable[Any]) -> None:
            super().__init__()
            self.table = table

    class Opened(Message):
        """The user wants to see a thing in full."""

        def __init__(self, table: LiveTable[Any], thing: Any) -> None:
            super().__init__()
            self.table = table
            self.thing = thing

    def __init__(self, columns: Sequence[Column[T]], key: Callable[[T], Hashable], **options: Any) -> None:
        super().__init__(**options)
        self._columns = columns
        self._key = key
        self.things: Sequence[T] = ()
        #: The row of the cursor.
        self.cursor = 0
        self._selected: Hashable = None
        #: What stands there when there is nothing: lines, the first one stronger.
        self.hint: Sequence[str] = ()

    # -- things -------------------------------------------------------------------------------------------------------

    def show(self, things: Sequence[T]) -> None:
        """Show *things* from now on, in this order."""
        self.things = things
        if self.cursor > 0 and self._selected is not None:
            keys = [self._key(thing) for thing in things]
            if self._selected in keys:
                self._follow(keys.index(self._selected))
        self.cursor = max(0, min(self.cursor, len(things) - 1))
        self._selected = self._key(things[self.cursor]) if things else None
        self.virtual_size = Size(self.size.width, len(things) + 1)
        self.refresh()

    def _follow(self, row: int) -> None:
        """Put the cursor where its thing is now, and move what is seen with it."""
        moved, self.cursor = row - self.cursor, row
        if moved and self.scroll_offset.y:
            self.scroll_to(y=max(0, self.scroll_offset.y + moved), animate=False)

    @property
    def selected(self) -> T | None:
        """The thing under the cursor."""
        return self.things[self.cursor] if self.things else None

    def select(self, row: int) -> None:
        """Put the cursor on *row*, and see to it that it is seen."""
        if not self.things:
            return
        self.cursor = max(0, min(row, len(self.things) - 1))
        self._selected = self._key(self.things[self.cursor])
        self._see_cursor()
        self.refresh()
        self.post_message(self.Moved(self))

    def _see_cursor(self) -> None:
        room = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + room:
            self.scroll_to(y=self.cursor - room + 1, animate=False)

    # -- keys and mouse -----------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Move the cursor *by* rows."""
        self.select(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by a screenful."""
        self.select(self.cursor + by * max(1, self.size.height - 2))

    def action_end(self, last: int) -> None:
        """Put the cursor on the first or the last row."""
        self.select(len(self.things) - 1 if last else 0)

    def action_open(self) -> None:
        """Show the thing under the cursor in full."""
        if self.selected is not None:
            self.post_message(self.Opened(self, self.selected))

    def on_click(self, event: events.Click) -> None:
        """Select a row; open it when it is clicked twice."""
        row = event.y - 1 + self.scroll_offset.y
        if event.y > 0 and row < len(self.things):
            self.select(row)
            if event.chain > 1:
                self.action_open()

    def on_resize(self) -> None:
        """See to it that the cursor is seen."""
        self.virtual_size = Size(self.size.width, len(self.things) + 1)
        self._see_cursor()

    # -- drawing ------------------------------------------------------------------------------------------------------

    def layout_columns(self, width: int) -> list[tuple[Column[T], int]]:
        """Return the columns that have room in *width* cells, each with its width."""
        chosen = list(self._columns)
        while len(chosen) > 1 and sum(one.width + one.spare + _GAP for one in chosen) - _GAP > width - 2:
            last = max(chosen, key=lambda column: column.rank)
            if last.rank == 0:
                break
            chosen.remove(last)
        spare = max(0, width - 2 - sum(column.width + _GAP for column in chosen) + _GAP)
        shares = sum(column.grow for column in chosen)
        widths = [column.width + (spare * column.grow // shares if shares else 0) for column in chosen]
        if shares and widths:
            grown = next(index for index, column in enumerate(chosen) if column.grow)
            widths[grown] += spare - sum(widths) + sum(column.width for column in chosen)
        return list(zip(chosen, widths, strict=True))

    def render_line(self, y: int) -> Strip:
        """Draw one line of what is seen; the first is the header's."""
        width = self.size.width
        base = self.visual_style.rich_style
        if y == 0:
            style = self.get_component_rich_style("table--header")
            titles = [fit(column.title, room, column.right) for column, room in self.layout_columns(width)]
            return _line([(f" {(' ' * _GAP).join(titles)} ", style)], width, base)
        row = y - 1 + self.scroll_offset.y
        if not self.things:
            return self._hint_line(y, width, base)
        if row >= len(self.things):
            return Strip.blank(width, base)
        return self._thing_line(row, width, base)

    def _thing_line(self, row: int, width: int, base: Style) -> Strip:
        parts: list[tuple[str, Style]] = [(" ", Style.null())]
        for column, room in self.layout_columns(width):
            try:
                cell = column.draw(self.things[row], room)
            except (TypeError, ValueError, ArithmeticError, LookupError):  # events may say anything of anything
                cell = ("?", "bad")
            parts += self._cell(cell if not isinstance(cell, tuple) else [cell], room, column.right)
            parts.append((" " * _GAP, Style.null()))
        if row == self.cursor:
            name = "table--cursor" if self.has_focus else "table--cursor-away"
            base += self.get_component_rich_style(name)
        return _line(parts[:-1], width, base)

    def _cell(self, cell: Sequence[Part], room: int, right: bool) -> Iterator[tuple[str, Style]]:
        """Give the parts of a cell, the last one cut or filled up to its width."""
        for number, (text, tone) in enumerate(cell):
            style = self.get_component_rich_style(f"tone--{tone}", partial=True)
            shown = fit(text, room, right) if number == len(cell) - 1 or cell_len(text) > room else text
            room -= cell_len(shown)
            yield shown, style

    def _hint_line(self, y: int, width: int, base: Style) -> Strip:
        top = max(1, (self.size.height - len(self.hint)) // 2)
        if not 0 <= y - top < len(self.hint):
            return Strip.blank(width, base)
        tone = "strong" if y == top else "dim"
        text = fit(self.hint[y - top].center(width), width)
        return _line([(text, self.get_component_rich_style(f"tone--{tone}", partial=True))], width, base)


def _line(parts: Sequence[tuple[str, Style]], width: int, base: Style) -> Strip:
    segments = [Segment(text, base + style) for text, style in parts]
    return Strip(segments).adjust_cell_length(width, base)
