"""Finds the plugins that a name on the command line means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from umbel.exceptions import PluginNotFound
from umbel.host import Host, InstalledPlugin
from umbel.model import KINDS
from umbel.suggestions import suggest

__all__ = ["find_all", "kind_option"]

kind_option: Final[Callable[[Any], Any]] = click.option(
    "-k", "--kind", type=click.Choice(list(KINDS)), help="Of this kind only."
)


def find_all(host: Host, name: str, kind: str | None) -> list[InstalledPlugin]:
    """Return every plugin *name* (or ``name@distribution``), one of each kind that has it.

    Raises :class:`~umbel.exceptions.PluginNotFound` with the nearest name.
    """
    kinds = [kind] if kind else list(KINDS)
    plain = name.partition("@")[0]
    found = [host.find(one, name) for one in kinds if any(plugin.name == plain for plugin in host.installed(one))]
    if not found:
        known = sorted({plugin.name for one in kinds for plugin in host.installed(one)})
        what = kind or "plugin"
        raise PluginNotFound(
            f"no {what} named {plain!r} is installed{suggest(plain, known)} (installed: {', '.join(known)})"
        )
    return found
