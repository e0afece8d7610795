"""The command lines: ``umbel celery ...`` and ``python -m celery ...``, which are Umbel's under Celery's name."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

from umbel.cli import COMMANDS, cli
from umbel.cli import main as run
from umbel.cli.groups import LazyGroup
from umbel_extension_celery.installing import FOLDER, install
from umbel_extension_celery.migrating.command import migrate

__all__ = ["celery", "commands", "main"]

#: Commands of Celery's that Umbel does not have (yet), and what to do instead.
_MISSING: Final = {
    "amqp": "use rabbitmqctl, or the broker's management page",
    "graph": "use umbel flow show, or umbel inspect",
    "list": "use rabbitmqctl list_bindings",
    "logtool": "use the log's own text",
    "multi": "start each worker on its own, or by systemd",
    "upgrade": "old names of settings are understood; umbel migrate lists them",
}


class CeleryGroup(LazyGroup):
    """Umbel's commands, those that are added to ``celery`` in code, and those of the entry points ``celery.commands``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self.commands, *_entry_points()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command *cmd_name*; a command of Celery's that is missing is refused with what to do instead."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        points = _entry_points()
        if cmd_name in points:
            found: click.Command = points[cmd_name].load()
            return found
        if cmd_name in _MISSING and cmd_name not in COMMANDS:
            raise click.UsageError(f"Umbel has no command {cmd_name!r}: {_MISSING[cmd_name]}", ctx)
        return super().get_command(ctx, cmd_name)


def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
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


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run *arguments* (those of the process) as Celery's command line, on Umbel, and exit."""
    install()
    run(arguments, celery, "celery")


@click.command(
    "celery",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    add_help_option=False,
)
@click.option("--path", "shows_path", is_flag=True, help="Show what to put into PYTHONPATH, and end.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def _celery(context: click.Context, shows_path: bool, arguments: tuple[str, ...]) -> None:
    """Run a command line of Celery's: umbel celery -A proj worker -l info.

    The project's ``import celery`` gets Umbel. ``umbel celery --path`` shows the folder that does this for any Python
    program: ``PYTHONPATH=$(umbel celery --path) python manage.py ...``.
    """
    if shows_path:
        click.echo(FOLDER)
        return
    # The global options stand before the command: umbel -A proj celery worker, umbel celery -A proj worker.
    session: Any = context.obj
    given = [("-A", session.app_spec), ("-b", session.broker), ("--workdir", session.workdir)]
    before = [part for option, value in given if value for part in (option, value)]
    main([*before, *arguments])


def commands() -> list[click.Command]:
    """Return the commands that this extension adds to ``umbel``."""
    return [_celery, migrate]
