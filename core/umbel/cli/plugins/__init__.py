"""``umbel plugins``: what is installed, what a plugin can do, whether it keeps its contract, and a new one."""

from __future__ import annotations

import click

from umbel.cli.plugins.checking import check_plugin
from umbel.cli.plugins.listing import list_plugins
from umbel.cli.plugins.making import new_plugin
from umbel.cli.plugins.showing import show_plugin

__all__ = ["command"]


@click.group("plugins", commands=[list_plugins, show_plugin, check_plugin, new_plugin])
def command() -> None:
    """List, show, check and make plugins.

    Plugins are found by the entry points of installed distributions; nothing is imported to list them. Further commands
    of extensions are found when they are typed.
    """
