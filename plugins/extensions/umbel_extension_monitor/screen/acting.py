"""What the board does to tasks and workers, at the user's wish."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.screen import Screen

from umbel.events import Task
from umbel_extension_monitor.feeds.orders import Said, rate_problem
from umbel_extension_monitor.feeds.site import Site
from umbel_extension_monitor.picture.cluster import NameFigures
from umbel_extension_monitor.picture.wording import clean
from umbel_extension_monitor.screen.asking import Confirm, Prompt
from umbel_extension_monitor.screen.columns import node_name
from umbel_extension_monitor.screen.help import Help
from umbel_extension_monitor.screen.panels import Workers

__all__ = ["Acting"]


class Acting(Screen[None]):
    """Orders from the keyboard: each is asked for where it cannot be undone, and sent by a thread."""

    site: Site

    def selected(self) -> Any:
        """Return what the orders are about, or ``None``."""
        panel = getattr(self, "panel", None)
        return None if panel is None else panel.selected

    def order(self, send: Callable[[], Said]) -> None:
        """Send an order, and say what came of it."""
        app = self.app

        def run() -> None:
            said = send()
            app.call_from_thread(self.tell, said.text, said.severity)

        self.run_worker(run, thread=True, group="orders", exit_on_error=False)

    def tell(self, text: str, severity: Any = "information") -> None:
        """Show a message for a few seconds."""
        self.app.notify(text, severity=severity, markup=False, timeout=6)

    def _confirm(self, title: str, text: str, send: Callable[[], Said]) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self.order(send)

        self.app.push_screen(Confirm(title, text), answered)

    def _chosen_task(self) -> Task | None:
        thing = self.selected()
        if not isinstance(thing, Task):
            self.tell("choose a task first (key 1)", "warning")
            return None
        return thing

    # -- orders -------------------------------------------------------------------------------------------------------

    def action_revoke(self) -> None:
        """See to it that a task does not run."""
        task = self._chosen_task()
        if task is None:
            return
        if task.ready:
            self.tell(f"it has ended already: {task.state}", "warning")
            return
        running = "\n\nIt runs already, and is not stopped by this: x does so." if task.state == "STARTED" else ""
        self._confirm("Revoke", f"{_named(task)}{running}", partial(self.site.orders.revoke, str(task.uuid)))

    def action_stop(self) -> None:
        """Stop a task where it runs, or shut a worker down."""
        panel = getattr(self, "panel", None)
        if isinstance(panel, Workers) and panel.selected is not None:
            node = node_name(panel.selected)
            text = f"{clean(node)}\n\nIt finishes what it runs, and ends."
            self._confirm("Shut down", text, partial(self.site.orders.shutdown, node))
            return
        task = self._chosen_task()
        if task is None:
            return
        if task.ready:
            self.tell(f"it has ended already: {task.state}", "warning")
            return
        text = f"{_named(task)}\n\nWhere it runs it is ended, whatever it does just now."
        self._confirm("Stop", text, partial(self.site.orders.terminate, str(task.uuid)))

    def action_limit(self) -> None:
        """Limit the rate of a name of tasks."""
        thing = self.selected()
        name = thing.name if isinstance(thing, Task | NameFigures) else None
        if name is None:
            self.tell("choose a task or a name first (keys 1, 4)", "warning")
            return

        def answered(rate: str | None) -> None:
            if rate:
                self.order(partial(self.site.orders.rate_limit, str(name), rate))

        text = f"{clean(str(name))}\n\nHow many may each worker start?"
        self.app.push_screen(Prompt("Rate limit", text, rate_problem, "10, 100/m, 5/h; 0: no limit"), answered)

    def action_resize_pool(self, by: int) -> None:
        """Let the selected worker run more, or fewer, tasks at once."""
        thing = self.selected()
        if thing is not None:
            self.order(partial(self.site.orders.resize_pool, node_name(thing), by))
            self.site.surveying.ask_soon()

    def action_enable_events(self) -> None:
        """Let workers tell of tasks."""
        self.order(self.site.orders.enable_events)

    def action_disable_events(self) -> None:
        """Let workers tell nothing of tasks."""
        self.order(self.site.orders.disable_events)

    def action_help(self) -> None:
        """Show all keys."""
        self.app.push_screen(Help())


def _named(task: Task) -> str:
    return f"{clean(str(task.name or '?'))}\n{clean(str(task.uuid))}"
