"""``umbel plugins list``."""

from __future__ import annotations

import collections
import json

import click

from umbel.cli.plugins.choosing import kind_option
from umbel.host import Host, InstalledPlugin
from umbel.model import KINDS

__all__ = ["list_plugins"]


@click.command("list")
@kind_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_plugins(kind: str | None, as_json: bool) -> None:
    """List the installed plugins, with the distribution that each comes from. Imports none of them."""
    host = Host()
    found = [plugin for one in ([kind] if kind else KINDS) for plugin in host.installed(one)]
    if as_json:
        click.echo(json.dumps([_as_document(plugin) for plugin in found], indent=2))
        return
    if not found:
        click.echo(f"no {kind or 'plugin'} is installed")
        return
    offers = collections.Counter((plugin.kind, plugin.name) for plugin in found)
    rows = [("KIND", "NAME", "DISTRIBUTION", "MODULE", "")]
    for plugin in found:
        note = f"conflict: choose {plugin.name}@{plugin.distribution}" if offers[plugin.kind, plugin.name] > 1 else ""
        rows.append((plugin.kind, plugin.name, f"{plugin.distribution} {plugin.version}", plugin.module, note))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
        click.echo("  ".join([*cells, row[4]]).rstrip())


def _as_document(plugin: InstalledPlugin) -> dict[str, str]:
    return {
        "kind": plugin.kind,
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.module,
    }
