"""The group of commands that stands for ``celery``: Umbel's commands, and those that Celery's users add to it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Final

import click

from umbel.cli import COMMANDS, cli
from umbel.cli.groups import LazyGroup

__all__ = ["CeleryGroup", "celery", "commands_of_packages"]

#: Commands of Celery's that Umbel does not have (yet), and what to do instead.
_MISSING: Final = {
    "amqp": "use rabbitmqctl, or the broker's management page",
    "graph": "use umbel flow show, or umbel inspect",
    "list": "use rabbitmqctl list_bindings",
    "logtool": "use the log's own text",
    "upgrade": "old names of settings are understood; umbel migrate lists them",
}


class CeleryGroup(LazyGroup):
    """Umbel's commands, those that are added to ``celery`` in code, and those of the entry points ``celery.commands``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self.commands, *commands_of_packages()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command *cmd_name*; a command of Celery's that is missing is refused with what to do instead."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        points = commands_of_packages()
        if cmd_name in points:
            found: click.Command = points[cmd_name].load()
            return found
        if cmd_name in _MISSING and cmd_name not in COMMANDS:
            raise click.UsageError(f"Umbel has no command {cmd_name!r}: {_MISSING[cmd_name]}", ctx)
        return super().get_command(ctx, cmd_name)


def commands_of_packages() -> dict[str, importlib.metadata.EntryPoint]:
    """Return the commands that installed packages add to ``celery``, by name; loads none."""
    return {point.name: point for point in importlib.metadata.entry_points(group="celery.commands")}


def _named_as_celery(parameters: Sequence[click.Parameter]) -> list[click.Parameter]:
    """Return the global options, read from Celery's variables of the environment too."""
    found = []
    for parameter in parameters:
        variable = getattr(parameter, "envvar", None)
        if isinstance(parameter, click.Option) and isinstance(variable, str):
            names = [variable, variable.replace("UMBEL_", "CELERY_")]
            parameter = click.Option(  # noqa: PLW2901 - the same option, read from two variables
                [*parameter.opts, *parameter.secondary_opts],
                metavar=parameter.metavar,
                help=parameter.help,
                envvar=names,
            )
        found.append(parameter)
    return found


celery = CeleryGroup(
    name="celery",
    commands=COMMANDS,
    params=_named_as_celery(cli.params),
    callback=cli.callback,
    help="Run a Celery project on Umbel.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
