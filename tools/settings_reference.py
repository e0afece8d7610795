"""Write ``docs/reference/settings.md`` from the settings themselves.

``python tools/settings_reference.py`` writes the page; with ``--check`` it only says whether the page is current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from umbel.settings import FOREIGN, OPTIONS, REMOVED, SAME, Option
from umbel.settings.names import SHORT_NAMES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "settings.md"

_INTRODUCTION = """\
% Made by tools/settings_reference.py from the settings themselves; do not edit.

# Settings

Each setting has the name and the meaning that it has in Celery. Where Umbel's default is another one, Celery's is told;
settings marked *Umbel's own* do not exist there. How to set them, and which source goes before which, is told in
[Configure an application](../how-to/configure.md).

Times are seconds unless the name says otherwise (`_ms`). `result_expires` and its siblings take a `timedelta` as well.
"""

_GROUPS = {
    "": ("The application", "accept_content, times, modules, names"),
    "broker": ("Broker", "The connection to what carries the messages."),
    "result": ("Results", "Where results are kept, how, and for how long."),
    "task": ("Tasks", "What holds for every task that does not say otherwise itself."),
    "worker": ("Worker", "How a worker fetches, runs, logs and stops."),
    "control": ("Remote control", "The queues of remote control."),
    "event": ("Events", "The queues of events, and how monitors are detached."),
    "beat": ("Periodic tasks", "The scheduler."),
    "security": ("Signing", "The signing of messages."),
}


def main(arguments: list[str]) -> int:
    """Write or check the page; the answer is the exit code."""
    text = "".join(f"{line}\n" for line in page())
    if "--check" in arguments:
        current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        if not current:
            print(f"{PAGE} is out of date: run python tools/settings_reference.py", file=sys.stderr)
        return 0 if current else 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


def page() -> Iterator[str]:
    """Yield the lines of the page."""
    yield _INTRODUCTION
    for group, (title, summary) in _GROUPS.items():
        rows = [row for name, row in OPTIONS.items() if _group(name) == group]
        yield f"## {title}\n"
        if group:
            yield f"{summary}\n"
        for row in rows:
            yield from _entry(row)
    yield from _short_names()
    yield from _plugins()
    yield from _removed()


def _group(name: str) -> str:
    group = name.partition("_")[0].replace("events", "event")
    return group if group in _GROUPS else ""


def _entry(row: Option) -> Iterator[str]:
    yield f"### `{row.name}`\n"
    own = " *Umbel's own.*" if row.own else ""
    yield f"{row.doc}{own}\n"
    if row.inert:
        yield f"Accepted for Celery's configurations; it changes nothing here, since {row.inert}.\n"
    if row.deprecated:
        instead = row.deprecated if row.deprecated.startswith("write") else f"use {_code(row.deprecated)}"
        yield f"Deprecated: {instead}.\n"
    yield f"- type: `{row.type.replace('|', 'or')}`"
    yield f"- default: `{_shown(row.default)}`"
    if row.celery_default is not SAME:
        yield f"- Celery's default: `{_shown(row.celery_default)}`"
    if row.old:
        yield f"- old names: {', '.join(f'`{old}`' for old in row.old)}"
    yield ""


def _code(names: str) -> str:
    return " and ".join(f"`{name}`" for name in names.split(" and "))


def _shown(value: object) -> str:
    return "256 * 1024 * 1024" if value == 256 * 1024 * 1024 else repr(value)


def _short_names() -> Iterator[str]:
    yield "## Short names\n"
    yield "In files and in the environment these words do as well.\n"
    for short, name in SHORT_NAMES.items():
        yield f"- `{short}`: `{name}`"
    yield ""


def _plugins() -> Iterator[str]:
    yield "## Settings of plugins\n"
    yield (
        "A plugin's settings stand in a section of its name (`[sqlite]`), and are told on the plugin's page. The names"
        " below are Celery's for stores that are plugins here. They are kept, with a warning while the plugin is not"
        " installed.\n"
    )
    for plugin in sorted({foreign.plugin for foreign in FOREIGN.values()}):
        names = [f"`{name}`" for name, foreign in FOREIGN.items() if foreign.plugin == plugin]
        yield f"- {plugin}: {', '.join(names)}"
    yield ""


def _removed() -> Iterator[str]:
    yield "## Settings that are gone\n"
    yield "They are passed over, with a warning.\n"
    for name, advice in REMOVED.items():
        yield f"- `{name}`: {advice}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
