"""The command lines: ``umbel celery ...`` and ``python -m celery ...``, which are Umbel's under Celery's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import click

from umbel.cli import main as run
from umbel_extension_celery.command_group import celery
from umbel_extension_celery.installing import FOLDER, install
from umbel_extension_celery.migrating.command import migrate

__all__ = ["celery", "commands", "main"]


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
