"""All that a worker says of itself."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from umbel_extension_monitor.feeds.site import Site
from umbel_extension_monitor.picture.wording import age, clean, duration

__all__ = ["NodePage"]

_DIM: Final = "$dim"
_ASK_EVERY_S: Final = 2.0

Part = tuple[str, str]


class NodePage(Screen[None]):
    """A worker's figures, pool, queues and running tasks, as it answers when it is asked."""

    CSS_PATH = "page.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,i", "app.pop_screen", "Back", key_display="esc"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, site: Site, node: str) -> None:
        super().__init__()
        self._site = site
        self._node = node
        self._told: Mapping[str, Any] = {}
        self._has_answered = False

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with VerticalScroll() as box:
            box.border_title = clean(self._node)
            box.border_subtitle = "esc: back"
            for name in ("facts", "pool", "queues", "active", "tasks"):
                yield Static("", id=name, classes="section")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Ask, and ask again."""
        self.query_one(VerticalScroll).focus()
        self.redraw()
        self._ask()
        self.set_interval(_ASK_EVERY_S, self._ask)
        self.set_interval(0.5, self.redraw)

    def _ask(self) -> None:
        if any(worker.group == "asking" and worker.is_running for worker in self.workers):
            return  # the last question has no answer yet

        def run() -> None:
            told = self._site.orders.ask(self._node)
            self.app.call_from_thread(partial(self._hear, told))

        self.run_worker(run, thread=True, group="asking", exit_on_error=False)

    def _hear(self, told: Mapping[str, Any]) -> None:
        self._told, self._has_answered = told, True
        if self.is_mounted:
            self.redraw()

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def redraw(self) -> None:
        """Show what is known now."""
        stats = self._told.get("stats")
        stats = stats if isinstance(stats, Mapping) else {}
        sections: dict[str, tuple[str, Sequence[Part]]] = {
            "facts": ("", self._facts(stats)),
            "pool": ("pool", _mapping(stats.get("pool"))),
            "queues": ("queues", _queues(self._told.get("active_queues"))),
            "active": ("runs now", _active(self._told.get("active"))),
            "tasks": ("has run", _mapping(stats.get("total"))),
        }
        for name, (title, parts) in sections.items():
            section = self.query_one(f"#{name}", Static)
            section.display = bool(parts)
            heading = [(f"{title}\n", "bold $accent")] if title else []
            section.update(Content.assemble(*heading, *parts).rstrip())

    def _facts(self, stats: Mapping[str, Any]) -> Sequence[Part]:
        worker = self._site.cluster.state.workers.get(self._node)
        facts: list[tuple[str, str]] = []
        if worker is not None:
            facts += [
                ("state", "online" if worker.alive else "offline"),
                ("heard", f"{age(worker.heartbeats[-1], time.time())} ago" if worker.heartbeats else "-"),
                ("process", str(worker.pid)),
                ("software", f"{worker.sw_ident} {worker.sw_ver} on {worker.sw_sys}"),
                ("done", str(worker.processed)),
                ("load", str(worker.loadavg)),
            ]
        if isinstance(uptime := stats.get("uptime"), int | float):
            facts.append(("up for", duration(uptime)))
        if isinstance(prefetch := stats.get("prefetch_count"), int):
            facts.append(("prefetch", str(prefetch)))
        if "error" in self._told:
            facts.append(("trouble", str(self._told["error"])))
        elif not self._told:
            facts.append(("asked", "it has not answered" if self._has_answered else "..."))
        return _pairs(facts)


def _pairs(facts: Sequence[tuple[str, str]]) -> Sequence[Part]:
    return [part for word, text in facts for part in ((f"{clean(word):<24} ", _DIM), (f"{clean(text)}\n", ""))]


def _mapping(told: Any) -> Sequence[Part]:
    return _pairs([(str(name), str(value)) for name, value in told.items()][:100]) if isinstance(told, Mapping) else []


def _queues(told: Any) -> Sequence[Part]:
    queues = [queue for queue in told if isinstance(queue, Mapping)] if isinstance(told, list) else []
    return _pairs([(str(queue.get("name")), str(queue.get("routing_key") or "")) for queue in queues])


def _active(told: Any) -> Sequence[Part]:
    tasks = [task for task in told if isinstance(task, Mapping)] if isinstance(told, list) else []
    now = time.time()
    facts = []
    for task in tasks[:50]:
        began = task.get("time_start")
        since = f"for {duration(now - began)}" if isinstance(began, int | float) and began > 1e9 else ""
        facts.append((str(task.get("name")), f"{task.get('id')}  {since}"))
    return _pairs(facts)
