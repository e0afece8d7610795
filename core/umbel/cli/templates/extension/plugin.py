"""The extension ``demo``: counts the tasks that ran, to be replaced by what you want to add."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo

__all__ = ["outcomes", "plugin_info", "umbel_cli_commands", "umbel_task_postrun"]

plugin_info = PluginInfo(kind="extension", names=("demo",), summary="counts the tasks that ran")

#: State -> how many tasks of this process ended in it.
outcomes: Counter[str] = Counter()


@hookimpl
def umbel_task_postrun(sender: Any, state: str) -> None:
    """Count a task that has run. A hook takes only the arguments that it needs."""
    outcomes[state] += 1


@click.command("demo")
def _command() -> None:
    """Say hello from the extension 'demo'."""
    click.echo("hello from demo")


@hookimpl
def umbel_cli_commands() -> Sequence[click.Command]:
    """Add a command to ``umbel``."""
    return [_command]
