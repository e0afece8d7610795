"""``umbel status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from umbel.cli.remote.asking import EXIT_UNAVAILABLE, Question, remote_options
from umbel.cli.remote.showing import as_json, count_line, show_reply, show_silent
from umbel.control.replies import flatten_reply

if TYPE_CHECKING:
    from umbel.cli.session import Session

__all__ = ["status"]


@click.command("status")
@remote_options
@click.pass_obj
def status(session: Session, /, **options: Any) -> int:
    """List the workers that are there. The exit code is 69 when there is none."""
    question = Question(
        session=session,
        timeout_s=options["timeout"] or 1.0,
        destination=options["destination"],
        local=options["local"],
    )
    is_json = options["as_json"]
    replies = question.ask("ping", {}, None if is_json else lambda reply: show_reply(reply, body=False))
    if is_json:
        click.echo(as_json(flatten_reply(replies)))
    show_silent(replies.silent)
    if not replies:
        click.echo("umbel: no node has answered in time", err=True)
        return EXIT_UNAVAILABLE
    if not (is_json or session.quiet or options["quiet"]):
        click.echo(f"\n{count_line(len(replies))}")
    return 0
