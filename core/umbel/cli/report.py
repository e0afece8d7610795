"""``umbel report``: what belongs into a bug report."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

import click

from umbel.cli.session import Session

if TYPE_CHECKING:
    from umbel.app import Umbel

# Imports of ours stand inside the functions, for start-up: `umbel --help` and a wrong option cost no worker.

__all__ = ["command", "report_text"]

_LIBRARIES = ("attrs", "billiard", "click", "kombu", "orjson", "pluggy", "stevedore")


@click.command("report")
@click.option("--with-defaults", is_flag=True, help="Show all settings, not only those that were set.")
@click.pass_obj
def command(session: Session, with_defaults: bool) -> int:
    """Show software and settings for a bug report; passwords are masked."""
    click.echo(report_text(session.app if session.app_spec else None, with_defaults=with_defaults))
    return 0


def report_text(app: Umbel | None, *, with_defaults: bool = False) -> str:
    """Return the report; without an application (``None``) the software alone."""
    from umbel import __version__
    from umbel.model import KINDS

    versions = ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES)
    lines = [
        f"software  -> umbel {__version__}, Python {platform.python_version()} ({platform.python_implementation()})",
        f"platform  -> {platform.platform()}",
        f"libraries -> {versions}",
    ]
    for kind, group in KINDS.items():
        names = sorted({f"{entry.name} ({_owner(entry)})" for entry in metadata.entry_points(group=group)})
        lines.append(f"{kind + 's':<9} -> {', '.join(names) or 'none'}")
    if app is not None:
        lines += ["", "settings:", *_settings(app, with_defaults)]
    return "\n".join(lines)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _owner(entry: metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "?"


def _settings(app: Umbel, with_defaults: bool) -> list[str]:
    conf = app.conf
    return [f"  {name}: {value!r}  ({conf.origin(name)})" for name, value in sorted(conf.table(with_defaults).items())]
