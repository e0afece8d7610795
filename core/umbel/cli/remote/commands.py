"""``umbel inspect`` and ``umbel control``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from umbel.cli.remote.arguments import arguments_of, find, listing
from umbel.cli.remote.asking import EXIT_UNAVAILABLE, Question, remote_options
from umbel.cli.remote.showing import as_json, count_line, show_reply, show_silent
from umbel.control.replies import flatten_reply
from umbel.exceptions import UmbelError
from umbel.worker.control import panel
from umbel.worker.control.steps import COMMAND_MODULES

if TYPE_CHECKING:
    from umbel.cli.session import Session

__all__ = ["control", "inspect"]


def _load_own_commands(session: Session) -> None:
    """Import what may define commands: the application's modules and the extensions."""
    assert COMMAND_MODULES  # their import has filled the panel with Umbel's own
    if session.app_spec is None:
        return
    app = session.app
    with contextlib.suppress(UmbelError):  # what cannot be imported here is the workers' affair
        app.host.extensions(app)
        app.import_modules()


def _show_list(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    kind = str(context.info_name)
    _load_own_commands(context.obj)
    formatter = context.make_formatter()
    with formatter.section(f"{kind.capitalize()} commands"):
        formatter.write_dl(listing(panel.of_kind(kind)))
    click.echo(formatter.getvalue(), nl=False)
    context.exit()


def _run(session: Session, kind: str, name: str, words: tuple[str, ...], options: dict[str, Any]) -> int:
    other = "control" if kind == "inspect" else "inspect"
    if panel.find(name) is None:  # not one of Umbel's own: what may define it costs time to import
        _load_own_commands(session)
    command = find(panel.of_kind(kind), kind, name, panel.of_kind(other))
    arguments = arguments_of(command, words)
    quiet = session.quiet or options["quiet"]
    question = Question(
        session=session,
        timeout_s=options["timeout"] or max(1.0, command.default_timeout),
        destination=options["destination"],
        local=options["local"],
    )
    is_json = options["as_json"]
    replies = question.ask(command.name, arguments, None if is_json else show_reply)
    if is_json:
        click.echo(as_json(flatten_reply(replies)))
    show_silent(replies.silent)
    if not replies:
        click.echo("umbel: no node has answered in time", err=True)
        return EXIT_UNAVAILABLE
    if kind == "inspect" and not (is_json or quiet):
        click.echo(f"\n{count_line(len(replies))}")
    return 0


@click.command("inspect")
@click.argument("name", metavar="COMMAND")
@click.argument("words", metavar="[ARGUMENTS]...", nargs=-1)
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_show_list, help="List the commands.")
@remote_options
@click.pass_obj
def inspect(session: Session, /, name: str, words: tuple[str, ...], **options: Any) -> int:
    """Ask workers what they do: inspect active, inspect stats, ... Nothing is changed.

    The exit code is 69 when nobody has answered.
    """
    return _run(session, "inspect", name, words, options)


@click.command("control")
@click.argument("name", metavar="COMMAND")
@click.argument("words", metavar="[ARGUMENTS]...", nargs=-1)
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_show_list, help="List the commands.")
@remote_options
@click.pass_obj
def control(session: Session, /, name: str, words: tuple[str, ...], **options: Any) -> int:
    """Tell workers what to do: control revoke ID, control rate_limit tasks.add 10/m, ...

    The exit code is 69 when nobody has answered.
    """
    return _run(session, "control", name, words, options)
