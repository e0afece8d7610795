"""All keys on one page."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

__all__ = ["Help"]

_PAGE: Final = (
    (
        "Look",
        (
            ("1 2 3 4", "tasks, workers, queues, names; tab: the next"),
            ("j k ↑ ↓", "move; pgup, pgdn, g, G: by pages, first, last"),
            ("enter i", "all of a task or worker; the tasks of a name"),
            ("t r", "a task's traceback, its result"),
            ("space", "hold the list still; moving down does so too"),
            ("g esc", "back to the latest"),
        ),
    ),
    (
        "Choose",
        (
            ("/", "filter: words, field:word, -word, >1.5s, <20ms"),
            ("", "fields: name state worker id args result error queue"),
            ("", "states also: active ended failed running"),
            ("s", "all states, active, failed"),
            ("o", "order: latest, slowest, oldest"),
        ),
    ),
    (
        "Act",
        (
            ("c", "revoke the task: it will not run"),
            ("x", "stop the task where it runs; a worker: shut it down"),
            ("l", "limit the rate of the task's name"),
            ("e E", "let workers tell of tasks, or no more"),
            ("+ -", "grow or shrink the worker's pool"),
        ),
    ),
    ("Else", (("d", "dark or light"), ("q ^c", "quit"))),
)


class Help(ModalScreen[None]):
    """Says what each key does."""

    DEFAULT_CSS = """
    Help { align: center middle; background: $background 60%; }
    Help > VerticalScroll {
        width: 68; max-width: 98%; height: auto; max-height: 96%; padding: 0 2; background: $panel;
        border: round $primary; border-title-color: $primary; border-title-style: bold;
        border-subtitle-color: $dim; scrollbar-size-vertical: 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss(None)", "Back")]

    def compose(self) -> ComposeResult:
        """Lay it out."""
        parts: list[tuple[str, str]] = []
        for title, lines in _PAGE:
            parts.append((f"{title}\n", "bold $accent"))
            for keys, text in lines:
                parts += [(f"  {keys:<9}", "bold $primary"), (f"{text}\n", "$foreground")]
        with VerticalScroll() as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc: back"
            yield Static(Content.assemble(*parts).rstrip())
