"""``umbel plugins show``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

import attrs
import click

from umbel.cli.plugins.choosing import find_all, kind_option
from umbel.host import Host, LoadedPlugin

__all__ = ["show_plugin"]


@click.command("show")
@click.argument("name")
@kind_option
def show_plugin(name: str, kind: str | None) -> None:
    """Show where the plugin NAME comes from, what it can do and which settings it has. NAME may be name@distribution."""
    host = Host()
    for number, installed in enumerate(find_all(host, name, kind)):
        if number:
            click.echo()
        for title, text in _described(host.load(installed.kind, f"{installed.name}@{installed.distribution}")):
            click.echo(f"{title + ':':14} {text}")


def _described(plugin: LoadedPlugin) -> Iterator[tuple[str, str]]:
    installed, info = plugin.installed, plugin.info
    yield installed.kind, installed.name
    yield "summary", info.summary
    yield "distribution", f"{installed.distribution} {installed.version}"
    yield "module", f"{installed.module} ({getattr(plugin.module, '__file__', None) or 'no file'})"
    yield "chosen by", f"entry point {installed.entry_point.group}: {installed.name} = {installed.entry_point.value}"
    yield "names", ", ".join(info.names)
    yield "plugin API", f"{info.api_min} to {info.api_max}"
    if info.requires:
        yield "drivers", ", ".join(f"{driver} ({_presence(driver)})" for driver in info.requires)
    if info.extra:
        yield "extra", f"pip install '{installed.distribution}[{info.extra}]'"
    yield from _capabilities(info.capabilities)
    if info.settings is not None:
        yield "settings", f"section [{installed.name}]"
        for field in attrs.fields(info.settings):
            yield f"  {field.name}", _default(field)


def _presence(driver: str) -> str:
    return "installed" if driver in sys.modules or importlib.util.find_spec(driver) else "missing"


def _capabilities(capabilities: Any) -> Iterator[tuple[str, str]]:
    if not attrs.has(type(capabilities)):
        return
    values = attrs.asdict(capabilities, recurse=False)
    yield "can", ", ".join(name for name, value in values.items() if value is True) or "nothing beyond its contract"
    yield (
        "cannot",
        ", ".join(name for name, value in values.items() if value is False) or "nothing of what is asked for",
    )
    for name, value in values.items():
        if not isinstance(value, bool):
            yield name, ", ".join(sorted(value)) if isinstance(value, frozenset) else str(value)


def _default(field: Any) -> str:
    if field.default is attrs.NOTHING:
        return "required"
    return "made anew" if isinstance(field.default, type(attrs.Factory(list))) else f"default {field.default!r}"
