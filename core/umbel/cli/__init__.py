"""The command ``umbel``.

A command is a module with an attribute ``command``; ``umbel --help`` imports none of them. Each command gets a
:class:`Session` as ``click.Context.obj``. An :class:`~umbel.exceptions.UmbelError` ends the program with one line on
standard error; its traceback is shown when ``UMBEL_DEBUG`` is set.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

from umbel.cli.groups import LazyCommand, LazyGroup
from umbel.cli.session import Session
from umbel.exceptions import ImproperlyConfigured, UmbelError

__all__ = ["COMMANDS", "EXIT_CONFIGURATION", "EXIT_FAILURE", "Session", "cli", "main"]

EXIT_FAILURE: Final = 1
#: ``EX_CONFIG`` of sysexits.h: starting again will not help.
EXIT_CONFIGURATION: Final = 78

COMMANDS: Final[dict[str, LazyCommand]] = {
    "worker": LazyCommand("umbel.cli.worker:command", "Start a worker."),
    "multi": LazyCommand("umbel.cli.multi.command:command", "Start and stop groups of workers in the background."),
    "beat": LazyCommand("umbel.cli.beat:command", "Send the calls of beat_schedule when they are due."),
    "events": LazyCommand("umbel.cli.events:command", "Watch what workers tell of tasks and of themselves."),
    "call": LazyCommand("umbel.cli.call:command", "Call a task by its name."),
    "result": LazyCommand("umbel.cli.result:command", "Show the result of a task."),
    "inspect": LazyCommand("umbel.cli.remote.commands:inspect", "Ask workers what they do."),
    "control": LazyCommand("umbel.cli.remote.commands:control", "Tell workers what to do."),
    "status": LazyCommand("umbel.cli.remote.status:status", "List the workers that are there."),
    "flow": LazyCommand("umbel.cli.flow:command", "Show a workflow as a picture."),
    "purge": LazyCommand("umbel.cli.purge:command", "Drop the messages that wait in queues."),
    "parked": LazyCommand("umbel.cli.parked:command", "List, show, requeue or drop messages that could not be run."),
    "config": LazyCommand("umbel.cli.config:command", "Show each setting with its origin."),
    "plugins": LazyCommand("umbel.cli.plugins:command", "List, show, check and make plugins."),
    "report": LazyCommand("umbel.cli.report:command", "Show software and settings for a bug report."),
    "shell": LazyCommand("umbel.cli.shell:command", "Start a Python shell with the application loaded."),
}


def _show_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from umbel import __version__  # the package's own attribute: nothing further is imported

    click.echo(f"umbel {__version__}")
    context.exit()


@click.group(
    cls=LazyGroup,
    commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Extensions may bring further commands: see 'umbel plugins list --kind extension'.",
)
@click.option("-A", "--app", envvar="UMBEL_APP", metavar="MODULE[:NAME]", help="The application, e.g. proj.tasks:app.")
@click.option("-b", "--broker", metavar="URL", help="The broker, instead of the configured one.")
@click.option("--result-backend", metavar="URL", help="The result store, instead of the configured one.")
@click.option("--loader", metavar="NAME", help="The loader class, for applications written for Celery.")
@click.option("--config", metavar="MODULE", help="The configuration module.")
@click.option(
    "--workdir",
    type=click.Path(exists=True, file_okay=False),
    envvar="UMBEL_WORKDIR",
    help="Change to this directory first.",
)
@click.option("-C", "--no-color", is_flag=True, help="No colours; so does the environment variable NO_COLOR.")
@click.option("-q", "--quiet", is_flag=True, help="Say less.")
@click.option("--skip-checks", is_flag=True, help="Do not check the set-up before starting.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show it.")
@click.pass_context
def cli(context: click.Context, /, **options: Any) -> None:
    """Run Python functions elsewhere and later: workers, calls, results."""
    session = Session(**options)
    session.enter_workdir()
    context.obj = session
    if session.no_color:
        context.color = False


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Show a warning for people: of ours without the line of code, which is that of this program."""
    if category.__module__.startswith("umbel"):
        click.echo(f"umbel: {message}", err=True)
    else:
        _show_code_warning(message, category, *where, **more)


_show_code_warning: Final = warnings.showwarning


def main(arguments: Sequence[str] | None = None, group: click.Group = cli, program: str = "umbel") -> NoReturn:
    """Run the command line *arguments* (those of the process) and exit. *group* and *program*: under another name.

    The code is the command's own, 2 for a wrong command line, 78 for a wrong configuration, else 1 for an error.
    """
    warnings.showwarning = _show_warning
    try:
        answer = group.main(args=arguments, prog_name=program, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("umbel: aborted", err=True)
        sys.exit(EXIT_FAILURE)
    except BrokenPipeError:  # the reader (head, a pager) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILURE)
    except UmbelError as error:
        if os.environ.get("UMBEL_DEBUG"):
            raise
        click.echo(f"umbel: {error}", err=True)
        sys.exit(EXIT_CONFIGURATION if isinstance(error, ImproperlyConfigured) else EXIT_FAILURE)
    sys.exit(answer if isinstance(answer, int) else 0)
