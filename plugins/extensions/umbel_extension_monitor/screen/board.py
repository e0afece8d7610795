"""The main screen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from umbel.events import Task
from umbel_extension_monitor.feeds.site import Site
from umbel_extension_monitor.feeds.surveying import QueueFigures
from umbel_extension_monitor.picture.cluster import NameFigures
from umbel_extension_monitor.picture.filtering import parse
from umbel_extension_monitor.screen.acting import Acting
from umbel_extension_monitor.screen.columns import node_name
from umbel_extension_monitor.screen.node import NodePage
from umbel_extension_monitor.screen.panels import Names, Panel, Queues, Tasks, Workers
from umbel_extension_monitor.screen.summary import Charts, Heading, Totals
from umbel_extension_monitor.screen.table import LiveTable
from umbel_extension_monitor.screen.task_page import TaskPage

__all__ = ["Board"]

#: What it needs to be of any use, in cells.
_LEAST: Final = (60, 14)
#: From this size on all tables are shown at once.
_ROOMY: Final = (130, 34)


class Board(Acting, Screen[None]):
    """Heading, charts and tables: one at a time, or all of them where there is room."""

    CSS_PATH = "board.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("space", "tasks('hold')", "Hold", key_display="space"),
        Binding("s", "tasks('next_states')", "State"),
        Binding("o", "tasks('next_order')", "Order"),
        Binding("c", "revoke", "Revoke"),
        Binding("x", "stop", "Stop"),
        Binding("l,L", "limit", "Limit", key_display="l"),
        Binding("plus,equals_sign", "resize_pool(1)", "Grow", key_display="+"),
        Binding("minus", "resize_pool(-1)", "Shrink", key_display="-"),
        Binding("t", "open_at('traceback')", "Traceback", show=False),
        Binding("r", "open_at('result')", "Result", show=False),
        Binding("e", "enable_events", "Events on", show=False),
        Binding("E", "disable_events", "Events off", show=False),
        Binding("1", "panel(0)", show=False),
        Binding("2", "panel(1)", show=False),
        Binding("3", "panel(2)", show=False),
        Binding("4", "panel(3)", show=False),
        Binding("tab", "next_panel(1)", show=False),
        Binding("shift+tab", "next_panel(-1)", show=False),
        Binding("escape", "back", show=False),
        Binding("q", "app.quit", "Quit"),
    ]

    def __init__(self, site: Site, refresh_s: float, filter_text: str = "") -> None:
        super().__init__()
        self.site = site
        self._refresh_s = refresh_s
        self._filter_text = filter_text
        self._panel = 0
        self._drawn_at = 0
        self._tabs: list[tuple[str, str]] = []
        self.panels: Sequence[Panel] = ()

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Heading()
        yield Static("", id="trouble")
        yield Totals()
        yield Charts(self.site)
        yield Static("", id="tabs")
        with Horizontal(id="tables"):
            yield Tasks(self.site, id="tasks")
            with Vertical(id="side"):
                yield Workers(self.site, id="workers")
                yield Queues(self.site, id="queues")
                yield Names(self.site, id="names")
        yield Input(self._filter_text, placeholder="filter, e.g. state:failed name:shop -retry >1s", id="filter")
        yield Static("", id="filter-problem")
        yield Static("", id="small")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Begin to draw."""
        self.tasks = self.query_one(Tasks)
        self.panels = [self.tasks, self.query_one(Workers), self.query_one(Queues), self.query_one(Names)]
        self._apply_filter(self._filter_text)
        self.set_interval(self._refresh_s, self.redraw)
        self.action_panel(0)

    # -- drawing ------------------------------------------------------------------------------------------------------

    def redraw(self) -> None:
        """Show what is known now. However many events came, this is done once a frame."""
        if not self.is_current:
            return
        site, second = self.site, int(time.time())
        self.query_one(Heading).update_from(site)
        self.tasks.fill()
        if second != self._drawn_at or self.panel is not self.tasks:
            self.draw_slow_parts()
            self._drawn_at = second
        self._draw_titles()

    def draw_slow_parts(self) -> None:
        """Show what changes by the second."""
        site = self.site
        trouble = self.query_one("#trouble", Static)
        trouble.display = site.listening.trouble is not None
        trouble.update(Content(site.listening.trouble or ""))
        self.query_one(Totals).update_from(site)
        self.query_one(Charts).update_all()
        for panel in self.panels[1:]:
            panel.fill()

    def _draw_titles(self) -> None:
        parts: list[tuple[str, str]] = []
        for number, panel in enumerate(self.panels):
            note = panel.note()
            panel.border_title = f"{number + 1} {panel.heading} {panel.amount()}"
            panel.border_subtitle = note
            is_chosen = number == self._panel
            text = f" {number + 1} {panel.heading} {panel.amount()} "
            parts += [(text, "bold $background on $primary" if is_chosen else "$dim"), (" ", "")]
            if is_chosen and note:
                parts.append((f"{note}  ", "$warning"))
        if parts != self._tabs:
            self._tabs = parts
            self.query_one("#tabs", Static).update(Content.assemble(*parts))

    def on_resize(self, event: events.Resize) -> None:
        """Choose what there is room for."""
        width, height = event.size
        roomy = width >= _ROOMY[0] and height >= _ROOMY[1]
        small = width < _LEAST[0] or height < _LEAST[1]
        self.set_class(roomy, "-roomy")
        self.set_class(small, "-small")
        self.set_class(height < 20, "-flat")
        if small:
            self.query_one("#small", Static).update(
                f"This terminal has {width} x {height} cells.\nThe monitor needs {_LEAST[0]} x {_LEAST[1]}: make it larger.\nq: quit"
            )
        self._drawn_at = 0
        self.call_after_refresh(self.redraw)

    # -- panels -------------------------------------------------------------------------------------------------------

    @property
    def panel(self) -> Panel:
        """The table that has the keys."""
        return self.panels[self._panel]

    def action_panel(self, number: int) -> None:
        """Give the keys to a table, and show it."""
        self._panel = number % len(self.panels)
        for index, panel in enumerate(self.panels):
            panel.set_class(index == self._panel, "-chosen")
        self.set_class(self._panel > 0, "-side")
        self.panel.focus(scroll_visible=False)
        self.refresh_bindings()
        self.call_after_refresh(self.redraw)

    def action_tasks(self, what: str) -> None:
        """Hold the list of tasks, or choose other states or another order."""
        {"hold": self.tasks.hold, "next_states": self.tasks.next_states, "next_order": self.tasks.next_order}[what]()
        self.redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say which keys are of use where the user is."""
        panel = self.panels[self._panel] if self.panels else None
        wanted: dict[str, tuple[type[Panel], ...]] = {
            "tasks": (Tasks,),
            "revoke": (Tasks,),
            "stop": (Tasks, Workers),
            "limit": (Tasks, Names),
            "resize_pool": (Workers,),
        }
        return isinstance(panel, wanted[action]) if action in wanted else True

    def action_next_panel(self, by: int) -> None:
        """Give the keys to the next table."""
        self.action_panel(self._panel + by)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Note which table was clicked."""
        if isinstance(event.widget, Panel) and event.widget is not self.panel:
            self.action_panel(self.panels.index(event.widget))

    def on_live_table_opened(self, event: LiveTable.Opened) -> None:
        """Show a thing in full."""
        self.open(event.thing)

    def open(self, thing: Any, section: str = "") -> None:
        """Show a task or a worker in full, or the tasks of a name or of a queue."""
        if isinstance(thing, Task):
            self.app.push_screen(TaskPage(self.site, thing, section))
        elif isinstance(thing, NameFigures):
            self.set_filter(f"name:{thing.name}")
        elif isinstance(thing, QueueFigures):
            self.set_filter(f"queue:{thing.name}")
        else:
            self.app.push_screen(NodePage(self.site, node_name(thing)))

    def action_open_at(self, section: str) -> None:
        """Show the task under the cursor at its traceback or result."""
        if isinstance(self.panel.selected, Task):
            self.open(self.panel.selected, section)

    def action_back(self) -> None:
        """Undo what narrows the view: the filter, then the states, then the hold."""
        tasks = self.tasks
        if self.query_one("#filter", Input).value:
            self.set_filter("")
        elif tasks.states != "all" or tasks.order != "latest":
            tasks.states, tasks.order = "all", "latest"
        tasks.go_on()

    # -- filter -------------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Let the user write a filter."""
        self.action_panel(0)
        self.add_class("-filter")
        self.query_one("#filter", Input).focus()

    def set_filter(self, text: str) -> None:
        """Show the tasks that fit *text*."""
        self.query_one("#filter", Input).value = text
        self._apply_filter(text)
        self.action_panel(0)

    def _apply_filter(self, text: str) -> None:
        problem = self.query_one("#filter-problem", Static)
        tasks = self.tasks
        try:
            tasks.fits = parse(text)
        except ValueError as error:
            problem.update(Content(str(error)))
            self.add_class("-problem")
            return
        self.remove_class("-problem")
        self.set_class(bool(text) or self.query_one("#filter", Input).has_focus, "-filter")
        tasks.go_on()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is written."""
        self._apply_filter(event.value)

    def on_input_submitted(self) -> None:
        """Go back to the tasks."""
        self._apply_filter(self.query_one("#filter", Input).value)
        self.action_panel(0)

    def on_key(self, event: events.Key) -> None:
        """Leave the filter's line: by escape without a filter, by the arrows with it."""
        line = self.query_one("#filter", Input)
        if line.has_focus and event.key in ("escape", "down", "up", "tab"):
            event.stop()
            event.prevent_default()
            self.set_filter("" if event.key == "escape" else line.value)
