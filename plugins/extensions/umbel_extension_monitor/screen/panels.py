"""The four tables, and what fills them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from umbel.events import Task, Worker
from umbel_extension_monitor.feeds.site import Site
from umbel_extension_monitor.feeds.surveying import QueueFigures
from umbel_extension_monitor.picture.cluster import Departed, NameFigures
from umbel_extension_monitor.picture.filtering import Filter
from umbel_extension_monitor.picture.wording import count
from umbel_extension_monitor.screen.columns import name_columns, node_name, queue_columns, task_columns, worker_columns
from umbel_extension_monitor.screen.table import LiveTable

__all__ = ["Names", "Panel", "Queues", "Tasks", "Workers"]

_MOST_ROWS = 1000


class Panel(LiveTable[Any]):
    """A table that fills itself."""

    #: What stands above it.
    heading: ClassVar[str] = ""

    def fill(self) -> None:
        """Show what is known now."""
        raise NotImplementedError

    def amount(self) -> str:
        """Return how many things there are."""
        return count(len(self.things))

    def note(self) -> str:
        """Return what else is to be said of it, or nothing."""
        return ""


class Tasks(Panel):
    """Tasks, the latest first. The list holds still while the cursor is not on its first row."""

    heading = "Tasks"
    STATES: ClassVar[Sequence[str]] = ("all", "active", "failed")
    ORDERS: ClassVar[Sequence[str]] = ("latest", "slowest", "oldest")

    def __init__(self, site: Site, **options: Any) -> None:
        super().__init__(task_columns(site.cluster), lambda task: task.uuid, **options)
        self._site = site
        self._found = 0
        self._received_at_hold = 0
        self._is_stopped = False
        self.fits: Filter | None = None
        self.states = "all"
        self.order = "latest"

    @property
    def is_held(self) -> bool:
        """Whether the list stands still."""
        return self._is_stopped or self.cursor > 0

    def fill(self) -> None:
        """Show the tasks that fit, or the same ones as before while it is held."""
        if self.is_held and self.things:
            self.refresh()
            return
        self.fill_anew()

    def fill_anew(self) -> None:
        """Show the tasks that fit now."""
        cluster = self._site.cluster
        self._received_at_hold = cluster.meter.totals["received"]
        tasks, self._found = cluster.tasks(self._all_fits(), self.order, _MOST_ROWS)
        self.hint = self._hint()
        self.show(tasks)

    def _all_fits(self) -> Filter | None:
        words, state = self.fits, self.states
        if state == "all":
            return words

        def fits(task: Task) -> bool:
            right = task.state == "FAILURE" if state == "failed" else not task.ready and task.state != "PENDING"
            return right and (words is None or words(task))

        return fits

    def _hint(self) -> Sequence[str]:
        site = self._site
        if not site.listening.is_connected:
            return ("The broker is not reached.", "The monitor goes on trying.") if site.listening.trouble else ()
        if site.cluster.state.tasks:
            return ("No task fits.", "esc: show all")
        if not site.cluster.state.workers:
            return ("No worker is heard.", "Start one:", "umbel -A MODULE worker -E")
        return (
            "Workers are there, and tell of no task.",
            "Press e to let them tell: those that were started",
            "without -E say nothing until then.",
        )

    def amount(self) -> str:
        """Return how many there are, or fit."""
        return count(self._found)

    def note(self) -> str:
        """Return how they are chosen and ordered, and what came since they are held."""
        notes = []
        if self.states != "all":
            notes.append(self.states)
        if self.order != "latest":
            notes.append(self.order)
        if self.is_held:
            notes.append(f"held, {count(self._site.cluster.meter.totals['received'] - self._received_at_hold)} new")
        return " · ".join(notes)

    def hold(self) -> None:
        """Let the list stand still, or go on."""
        if self.is_held:
            self.go_on()
        else:
            self._is_stopped = True
            self.refresh()

    def go_on(self) -> None:
        """Show the latest again."""
        self._is_stopped = False
        self.select(0)
        self.fill_anew()

    def action_end(self, last: int) -> None:
        """Go to the first row, which is to see the latest again, or to the last."""
        if last:
            super().action_end(last)
        else:
            self.go_on()

    def next_states(self) -> None:
        """Choose the next group of states."""
        self.states = _next(self.STATES, self.states)
        self.go_on()

    def next_order(self) -> None:
        """Choose the next order."""
        self.order = _next(self.ORDERS, self.order)
        self.go_on()


class Workers(Panel):
    """Workers, those that are there first."""

    heading = "Workers"

    def __init__(self, site: Site, **options: Any) -> None:
        super().__init__(worker_columns(site.cluster, site.surveying), node_name, **options)
        self._site = site

    def fill(self) -> None:
        """Show those that are there, and those that have left."""
        self.hint = ("No worker is heard.", "umbel -A MODULE worker -E")
        self.show(self._site.cluster.workers())

    def amount(self) -> str:
        """Return how many are there."""
        return count(sum(isinstance(node, Worker) and node.alive for node in self.things))

    def note(self) -> str:
        """Return how many are not."""
        off = sum(isinstance(node, Departed) or not node.alive for node in self.things)
        return f"{off} off" if off else ""


class Queues(Panel):
    """Queues, the fullest first."""

    heading = "Queues"

    def __init__(self, site: Site, **options: Any) -> None:
        super().__init__(queue_columns(), lambda queue: queue.name, **options)
        self._site = site

    def fill(self) -> None:
        """Show all that are known."""
        self.hint = ("No queue is known yet.",)
        queues: Sequence[QueueFigures] = self._site.surveying.queues()
        self.show(queues)


class Names(Panel):
    """Names of tasks, the busiest first."""

    heading = "Names"

    def __init__(self, site: Site, **options: Any) -> None:
        super().__init__(name_columns(site.cluster), lambda one: one.name, **options)
        self._site = site

    def fill(self) -> None:
        """Show all that were heard of."""
        self.hint = ("No task was heard of yet.",)
        names: Sequence[NameFigures] = self._site.cluster.names()
        self.show(names)

    def note(self) -> str:
        """Return how many of them came lately."""
        now = time.time()
        busy = sum(bool(one.meter.rate(now, "received", 30)) for one in self.things)
        return f"{busy} busy" if busy else ""


def _next(choices: Sequence[str], current: str) -> str:
    return choices[(list(choices).index(current) + 1) % len(choices)]
