"""The application of Textual."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from umbel_extension_monitor.feeds.site import Site
from umbel_extension_monitor.screen.board import Board
from umbel_extension_monitor.screen.tones import DARK, LIGHT

__all__ = ["MonitorApp"]


class MonitorApp(App[int]):
    """Watches *site*. With *enables* workers are told at the start to tell of tasks, and those that come later too."""

    ENABLE_COMMAND_PALETTE = False
    TITLE = "umbel events"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
        Binding("d", "shade", "Dark or light", show=False),
    ]
    DEFAULT_CSS = """
    Footer { background: $panel; }
    Toast { background: $panel; padding: 0 1; margin-top: 0; }
    """

    def __init__(
        self, site: Site, *, enables: bool = False, filter_text: str = "", refresh_s: float = 0.25, **options: Any
    ) -> None:
        super().__init__(**options)
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = DARK.name
        self.site = site
        self._enables = enables
        self.board = Board(site, refresh_s, filter_text)
        self._log_lines = _LogLines(self)

    def on_mount(self) -> None:
        """Begin to listen and to draw."""
        logging.getLogger("umbel").addHandler(self._log_lines)
        self.push_screen(self.board)
        self.run_worker(self.site.listening.run, thread=True, group="feeds", name="listening")
        self.run_worker(self.site.surveying.run, thread=True, group="feeds", name="surveying")
        self._known: set[str] = set()
        self.set_interval(0.5, self._greet)

    def _greet(self) -> None:
        """Ask those who have joined what they are made of; tell them to tell of tasks, where the user wants that."""
        here = {str(worker.hostname) for worker in self.site.cluster.state.alive_workers()}
        joined = here - self._known
        self._known = here
        if joined:
            self.site.surveying.ask_soon()
            if self._enables:
                orders, nodes = self.site.orders, sorted(joined)
                self.board.order(lambda: orders.enable_events(nodes))

    def on_unmount(self) -> None:
        """Let the feeds end."""
        logging.getLogger("umbel").removeHandler(self._log_lines)
        self.site.stop()

    def action_shade(self) -> None:
        """Change between dark and light."""
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name


class _LogLines(logging.Handler):
    """Shows warnings of ours as messages: standard error is not seen behind the screen."""

    def __init__(self, app: MonitorApp) -> None:
        super().__init__(logging.WARNING)
        self._app = app

    def emit(self, record: logging.LogRecord) -> None:
        """Show one, from whatever thread."""
        text = record.getMessage()
        self._app.call_later(self._app.notify, text, severity="warning", markup=False, timeout=8)
