"""``umbel config``: what is set, to what, and where it was said."""

from __future__ import annotations

import json
from typing import Any

import click

from umbel.exceptions import ImproperlyConfigured
from umbel.settings import FOREIGN, OPTIONS, Configuration, Layer
from umbel.suggestions import suggest

__all__ = ["command"]


@click.command("config", short_help="Show each setting with its origin.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-a", "--all", "show_all", is_flag=True, help="Show settings that have their default, too.")
@click.option("-j", "--json", "as_json", is_flag=True, help="Write JSON: name, value, origin, default of each.")
@click.option("--check", is_flag=True, help="Only check: settings that contradict each other, unknown sections.")
@click.pass_obj
def command(session: Any, names: tuple[str, ...], show_all: bool, as_json: bool, check: bool) -> None:
    """Show the settings that differ from their defaults, with where each was set; passwords are masked.

    NAME is a setting, or a part of names: 'umbel config task_' shows that group, defaults included.
    """
    conf: Configuration = session.app.conf
    if check:
        conf.check()
        if not session.quiet:
            click.echo("the configuration is sound")
        return
    rows = [_row(conf, name) for name in _selected(conf, names, show_all)]
    if as_json:
        click.echo(json.dumps(rows, indent=2, default=repr))
        return
    for line in _table(rows):
        click.echo(line)
    if not rows and not session.quiet:
        click.echo("every setting has its default; 'umbel config --all' shows them", err=True)


def _selected(conf: Configuration, names: tuple[str, ...], show_all: bool) -> list[str]:
    if not names:
        return list(conf) if show_all else [name for name in conf if conf.origin(name).layer is not Layer.DEFAULT]
    selected: list[str] = []
    for wanted in names:
        found = [wanted] if wanted in OPTIONS else [name for name in conf if wanted.lower() in name]
        if not found:
            raise ImproperlyConfigured(f"no setting is called {wanted!r}{suggest(wanted, [*conf, *FOREIGN])}")
        selected.extend(name for name in found if name not in selected)
    return selected


def _row(conf: Configuration, name: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name,
        "value": conf.shown(name),
        "origin": str(conf.origin(name)),
        "layer": conf.origin(name).layer.name.lower(),
    }
    if name in OPTIONS:
        row["default"] = OPTIONS[name].default
    return row


def _table(rows: list[dict[str, Any]]) -> list[str]:
    texts = [(row["name"], repr(row["value"]), row["origin"]) for row in rows]
    widths = [max((min(len(text[column]), 60) for text in texts), default=0) for column in (0, 1)]
    return [f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for name, value, origin in texts]
