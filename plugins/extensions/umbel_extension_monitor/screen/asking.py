"""Questions that stand in front of the board until they are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

__all__ = ["Confirm", "Prompt"]

_CSS = """
{name} {{ align: center middle; background: $background 60%; }}
{name} > Vertical {{
    width: 64; max-width: 96%; height: auto; padding: 1 2; background: $panel; border: round $primary;
    border-title-color: $primary; border-title-style: bold;
}}
"""


class Confirm(ModalScreen[bool]):
    """Asks whether to do something; answers with true for ``y`` alone."""

    DEFAULT_CSS = _CSS.format(name="Confirm")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes"),
        Binding("n,escape,q,enter", "dismiss(False)", "No"),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical() as box:
            box.border_title = self._title
            yield Static(Content(self._text))
            yield Static(Content.from_markup("\n[b $success]y[/] yes    [b $error]n[/] no"))


class Prompt(ModalScreen[str | None]):
    """Asks for a text; answers with ``None`` when the user would rather not."""

    DEFAULT_CSS = (
        _CSS.format(name="Prompt")
        + """
    Prompt Input { border: none; height: 1; margin-top: 1; padding: 0 1; background: $background; }
    Prompt #problem { color: $error; height: auto; }
    """
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, title: str, text: str, problem: Callable[[str], str | None], placeholder: str = "") -> None:
        super().__init__()
        self._title, self._text, self._placeholder = title, text, placeholder
        self._problem = problem

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical() as box:
            box.border_title = self._title
            yield Static(Content(self._text))
            yield Input(placeholder=self._placeholder, compact=True)
            yield Static("", id="problem")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer, unless something is wrong with it."""
        problem = self._problem(event.value)
        if problem is None:
            self.dismiss(event.value.strip())
        else:
            self.query_one("#problem", Static).update(Content(problem))
