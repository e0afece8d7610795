"""All that is known of one task."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Static

from umbel.events import Task
from umbel_extension_monitor.feeds.site import Site
from umbel_extension_monitor.picture.wording import clean, clean_lines, clock_time, duration
from umbel_extension_monitor.screen.acting import Acting
from umbel_extension_monitor.screen.tones import TONES, state_tone

__all__ = ["TaskPage"]

_STYLES: Final = {tone: css.removeprefix("color: ").partition(";")[0] for tone, css in TONES.items()}
_STEPS: Final = ("sent", "received", "started", "retried", "succeeded", "failed", "revoked", "rejected")
_FACTS: Final = (
    "uuid",
    "worker",
    "routing_key",
    "exchange",
    "retries",
    "eta",
    "expires",
    "parent_id",
    "root_id",
    "client",
)
_WORDS: Final = {
    "uuid": "id",
    "routing_key": "routing key",
    "parent_id": "parent",
    "root_id": "root",
    "client": "sent by",
}
_MOST_LINES: Final = 500

Part = tuple[str, str]


class TaskPage(Acting):
    """A task's fields, its way so far, arguments, result and traceback; kept up to date."""

    CSS_PATH = "page.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,i", "app.pop_screen", "Back", key_display="esc"),
        Binding("t", "see('traceback')", "Traceback"),
        Binding("r", "see('result')", "Result"),
        Binding("c", "revoke", "Revoke"),
        Binding("x", "stop", "Stop"),
        Binding("l,L", "limit", "Limit", key_display="l"),
        Binding("p", "parent", "Parent"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, site: Site, task: Task, section: str = "") -> None:
        super().__init__()
        self.site = site
        self._subject = task
        self._section = section

    def selected(self) -> Task:
        """Return the task."""
        return self._subject

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with VerticalScroll() as box:
            box.border_subtitle = "esc: back"
            for name in ("facts", "way", "arguments", "result", "traceback", "family"):
                yield Static("", id=name, classes="section")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Show it, and where the user wants to be."""
        self.redraw()
        self.set_interval(0.5, self.redraw)
        self.query_one(VerticalScroll).focus()
        if self._section:
            self.call_after_refresh(self.action_see, self._section)

    def redraw(self) -> None:
        """Show what is known now."""
        task = self.site.cluster.state.tasks.get(str(self._subject.uuid)) or self._subject
        self._subject = task
        mark, tone = state_tone(task.state)
        box = self.query_one(VerticalScroll)
        box.border_title = Content.assemble(
            (f"{mark} {clean(task.state)} ", f"bold {_STYLES[tone]}"), (clean(str(task.name or "?")), "bold")
        )
        outcome = "result" if task.exception is None else "error"
        told = task.result if task.exception is None else task.exception
        sections: dict[str, tuple[str, Sequence[Part]]] = {
            "facts": ("", self._facts(task)),
            "way": ("way", self._way(task)),
            "arguments": ("arguments", _arguments(task)),
            "result": (outcome, _lines(told, "bad" if outcome == "error" else "plain")),
            "traceback": ("traceback", _traceback(task.traceback)),
            "family": ("sent", self._family(task)),
        }
        for name, (title, parts) in sections.items():
            section = self.query_one(f"#{name}", Static)
            section.display = bool(parts)
            heading = [(f"{title}\n", "bold $accent")] if title else []
            section.update(Content.assemble(*heading, *parts).rstrip())

    def action_see(self, section: str) -> None:
        """Scroll to a section."""
        found = self.query_one(f"#{section}", Static)
        if found.display:
            self.query_one(VerticalScroll).scroll_to_widget(found, top=True, animate=False)
        else:
            self.tell(f"it has no {section}", "warning")

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_parent(self) -> None:
        """Show the task that sent it."""
        parent = self._subject.parent
        if parent is None:
            self.tell("it has no parent that is known here", "warning")
        else:
            self.app.push_screen(TaskPage(self.site, parent))

    # -- sections -----------------------------------------------------------------------------------------------------

    def _facts(self, task: Task) -> Sequence[Part]:
        parts: list[Part] = []
        for name in _FACTS:
            value: Any = getattr(task, name)
            if name == "worker" and value is not None:
                value = value.hostname
            if value not in (None, "", 0) and not (name == "root_id" and value == task.uuid):
                parts += [
                    (f"{_WORDS.get(name, name):<12}", _STYLES["dim"]),
                    (f"{clean(str(value))}\n", _STYLES["plain"]),
                ]
        return parts

    def _way(self, task: Task) -> Sequence[Part]:
        steps = sorted((at, name) for name in _STEPS if (at := getattr(task, name)))
        parts: list[Part] = []
        before: float | None = None
        for at, name in steps:
            parts += [(f"{name:<12}", _STYLES["dim"]), (clock_time(at), _STYLES["plain"])]
            parts.append((f"  +{duration(at - before)}\n" if before is not None else "\n", _STYLES["busy"]))
            before = at
        ran = self.site.cluster.run_time(task)
        if ran is not None:
            word = "running for" if task.state == "STARTED" else "ran"
            parts += [(f"{word:<12}", _STYLES["dim"]), (duration(ran), "bold")]
        elif before is not None and not task.ready:
            parts += [(f"{'since':<12}", _STYLES["dim"]), (duration(time.time() - before), "bold")]
        return parts

    def _family(self, task: Task) -> Sequence[Part]:
        parts: list[Part] = []
        for child in sorted(task.children, key=lambda child: child.timestamp or 0.0)[:50]:
            mark, tone = state_tone(child.state)
            parts += [
                (f"{mark} {clean(child.state):<9}", _STYLES[tone]),
                (f"{clean(str(child.name or '?'))}  ", _STYLES["plain"]),
                (f"{clean(str(child.uuid))}\n", _STYLES["faint"]),
            ]
        return parts


def _arguments(task: Task) -> Sequence[Part]:
    parts: list[Part] = []
    for word, value in (("args", task.args), ("kwargs", task.kwargs)):
        if value not in (None, "", "()", "{}", "[]"):
            parts += [(f"{word:<12}", _STYLES["dim"]), (" ".join(clean_lines(value)) + "\n", _STYLES["plain"])]
    return parts


def _lines(text: Any, tone: str) -> Sequence[Part]:
    return [] if text is None else [(f"{line}\n", _STYLES[tone]) for line in clean_lines(text)[:_MOST_LINES]]


def _traceback(text: Any) -> Sequence[Part]:
    if not text:
        return []
    lines = clean_lines(text)
    while lines and not lines[-1].strip():
        lines.pop()
    shown = lines if len(lines) <= _MOST_LINES else [*lines[:100], "...", *lines[-(_MOST_LINES - 100) :]]
    parts: list[Part] = []
    for number, line in enumerate(shown):
        if number == len(shown) - 1 or not line.startswith((" ", "Traceback")):
            tone = "bad"
        else:
            tone = "dim" if line.lstrip().startswith("File ") else "plain"
        parts.append((f"{line}\n", _STYLES[tone]))
    return parts
