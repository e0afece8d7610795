"""Writes the pages of the manual that the code itself knows: hooks, and what each plugin can do.

``python tools/reference.py`` writes them; a test compares, so that page and code cannot part.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from umbel import hookspecs
from umbel.host import Host, LoadedPlugin
from umbel.model import KINDS
from umbel.signals import SIGNALS
from umbel_extension_celery.missing import MISSING_MODULES, MISSING_NAMES

ROOT: Final = Path(__file__).resolve().parent.parent
_NOTE: Final = "<!-- Written by tools/reference.py: change the code, then run it. -->\n"
_HOOKS_INTRO: Final = """# Hooks and signals

A plugin implements a hook by a function of its name, marked with `umbel.hookspecs.hookimpl`; it may leave out arguments
that it does not need.

**Driver hooks** make the parts. The one plugin that was chosen by name is asked, on the thread that starts the part, and
connects to nothing yet. What it raises stops the start; an answer of the wrong type is refused.

**Observer hooks** are told what happens, on the thread where it happens, so they must be quick. Each is also a signal of the
same name without `umbel_`, for code that is no plugin: `from umbel.signals import task_prerun`, then
`task_prerun.connect(f)`, also as a decorator, with `sender=` for one sender alone. A receiver takes `**kwargs`; it is held by
a weak reference unless `weak=False`; a second connection with the same `dispatch_uid` does nothing. What an observer raises is
logged once and counted; after ten failures it is switched off.

```python
from umbel.signals import task_failure


@task_failure.connect
def note(sender, task_id, exception, **kwargs):
    print(f"{task_id} failed: {exception!r}")
```
"""
_PLUGINS_INTRO: Final = """# Plugins

What is installed with Umbel, and what each plugin can do. Everything is "no" unless the plugin declares it, and what is
declared is tested. `umbel plugins show NAME` tells the same of plugins from elsewhere.
"""
_CELERY_INTRO: Final = """# What is missing of Celery's names

A project that was [moved from Celery](../how-to/move-from-celery.md) says `import celery` and gets Umbel, with the public modules
and names of Celery 5.7: those of each module's `__all__`, and where it has none all that it defines without an underscore. These
are not there; a test compares the list with Celery. `umbel migrate` finds their uses in a project.
"""


def hooks_page() -> str:
    """Return the page of hooks and signals."""
    hooks = {name: value for name, value in vars(hookspecs).items() if name.startswith("umbel_")}
    drivers = [name for name in hooks if name.removeprefix("umbel_") not in SIGNALS]
    observers = [name for name in hooks if name not in drivers]
    parts = [_HOOKS_INTRO, "## Driver hooks\n"]
    parts += [_hook(name, hooks[name]) for name in drivers]
    parts.append("## Observer hooks and signals\n")
    parts += [_hook(name, hooks[name]) for name in observers]
    return _NOTE + "\n".join(parts)


def _hook(name: str, function: Callable[..., Any]) -> str:
    arguments = ", ".join(inspect.signature(function).parameters)
    text = inspect.cleandoc(function.__doc__ or "")
    return f"### {name}({arguments})\n\n{_as_markdown(text)}\n"


def _as_markdown(text: str) -> str:
    return text.replace("``", "`")


def plugins_page() -> str:
    """Return the page of plugins: for each kind a table of capabilities, then each plugin's own words."""
    host = Host()
    parts = [_NOTE + _PLUGINS_INTRO]
    for kind in KINDS:
        plugins: dict[str, LoadedPlugin] = {}
        for installed in host.installed(kind):
            if installed.distribution == "umbel":
                plugins.setdefault(installed.module, host.load(kind, f"{installed.name}@umbel"))
        if plugins:
            parts.append(f"## {kind.capitalize()}s\n")
            parts += _table(list(plugins.values()))
            parts += [_plugin(plugin) for plugin in plugins.values()]
    return "\n".join(parts)


def _table(plugins: list[LoadedPlugin]) -> Iterator[str]:
    able = [plugin for plugin in plugins if attrs.has(type(plugin.info.capabilities))]
    if not able:
        return
    yield "| | " + " | ".join(f"`{plugin.info.names[0]}`" for plugin in able) + " |"
    yield "| --- |" + " --- |" * len(able)
    for field in attrs.fields(type(able[0].info.capabilities)):
        cells = [_cell(getattr(plugin.info.capabilities, field.name)) for plugin in able]
        yield f"| {field.name} | " + " | ".join(cells) + " |"
    yield ""


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "-"
    return ", ".join(sorted(value)) or "-" if isinstance(value, frozenset) else str(value)


def _plugin(plugin: LoadedPlugin) -> str:
    info = plugin.info
    lines = [f"### {plugin.installed.module}\n", f"{info.summary[:1].upper()}{info.summary[1:]}.\n"]
    names = ", ".join(f"`{name}`" for name in info.names)
    lines.append(f"* names: {names}")
    if info.requires:
        lines.append(f"* needs: {', '.join(info.requires)}")
    if info.extra:
        lines.append(f"* installed by: `pip install 'umbel[{info.extra}]'`")
    if info.settings is not None:
        settings = ", ".join(f"`{field.name}`" for field in attrs.fields(info.settings))
        lines.append(f"* settings, in the section `[{info.names[0]}]`: {settings}")
    first, _, rest = inspect.cleandoc(plugin.module.__doc__ or "").partition("\n\n")
    lines += ["", _as_markdown(textwrap.dedent(f"{first}\n\n{rest}").strip()), ""]
    return "\n".join(lines)


def celery_names_page() -> str:
    """Return the page of what Celery has and ``import celery`` on Umbel does not give."""
    lines = [_NOTE + _CELERY_INTRO, "## Modules\n", "| module | instead, or why |", "| --- | --- |"]
    lines += [f"| `{module}` | {why} |" for module, why in sorted(MISSING_MODULES.items())]
    lines += ["", "## Names\n", "| module | lacks | instead, or why |", "| --- | --- | --- |"]
    lines += [
        f"| `{module}` | {', '.join(f'`{name}`' for name in names.split())} | {why} |"
        for module, (names, why) in sorted(MISSING_NAMES.items())
    ]
    return "\n".join([*lines, ""])


PAGES: Final[dict[str, Callable[[], str]]] = {
    "docs/reference/celery-names.md": celery_names_page,
    "docs/reference/hooks.md": hooks_page,
    "docs/reference/plugins.md": plugins_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (ROOT / name).write_text(page(), encoding="utf-8")
        print(f"wrote {name}")


if __name__ == "__main__":
    main()
