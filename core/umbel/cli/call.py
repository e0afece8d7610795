"""``umbel call``: call a task by its name."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import click

from umbel.cli.result import show_result
from umbel.cli.session import Session
from umbel.exceptions import ImproperlyConfigured
from umbel.suggestions import suggest

__all__ = ["command"]


def _json(kind: type[Any], example: str) -> Callable[[click.Context, click.Parameter, str], Any]:
    """Return the reader of an option that is JSON of *kind*."""

    def read(context: click.Context, parameter: click.Parameter, value: str) -> Any:
        try:
            decoded = json.loads(value)
        except ValueError as error:
            raise click.BadParameter(f"expected JSON such as {example}, got {value!r}: {error}") from None
        if not isinstance(decoded, kind):
            raise click.BadParameter(f"expected JSON such as {example}, got {value!r}")
        return decoded

    return read


def _time(context: click.Context, parameter: click.Parameter, value: str | None) -> dt.datetime | None:
    if value is None:
        return None
    try:
        parsed = dt.datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"expected an ISO 8601 time such as 2030-01-31T12:00:00+01:00, got {value!r}"
        ) from None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=dt.UTC)


def _seconds_or_time(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    try:
        return None if value is None else float(value)
    except ValueError:
        return _time(context, parameter, value)


@click.command("call")
@click.argument("name")
@click.option("-a", "--args", callback=_json(list, "'[1, 2]'"), default="[]", help="Positional arguments, a JSON list.")
@click.option(
    "-k", "--kwargs", callback=_json(dict, "'{\"x\": 1}'"), default="{}", help="Named arguments, a JSON object."
)
@click.option("--eta", callback=_time, help="Not before this time (ISO 8601).")
@click.option("--countdown", type=float, metavar="S", help="Not before so many seconds from now.")
@click.option("--expires", callback=_seconds_or_time, help="Not after so many seconds from now, or after this time.")
@click.option("--serializer", metavar="NAME", help="The serializer of the arguments.")
@click.option("--queue", metavar="NAME", help="The queue.")
@click.option("--exchange", metavar="NAME", help="The exchange.")
@click.option("--routing-key", metavar="KEY", help="The routing key.")
@click.option("--priority", type=click.IntRange(0, 9), help="0 to 9; the higher the sooner.")
@click.option("--task-id", metavar="ID", help="The id of the call.")
@click.option("-w", "--wait", "wait_s", type=float, metavar="S", help="Wait so long for the result and print it.")
@click.pass_obj
def command(
    session: Session, /, name: str, args: list[Any], kwargs: dict[str, Any], wait_s: float | None, **options: Any
) -> int:
    """Call the task NAME and print the id of the call, or with --wait what became of it; exit with 1 when it has failed."""
    app = session.app
    _warn_of_unknown(app, name)
    given = {option: value for option, value in options.items() if value is not None}
    try:
        result = app.send_task(name, args, kwargs, **given)
    except (TypeError, ValueError) as error:  # what the user typed does not fit the task
        raise click.ClickException(str(error)) from error
    if wait_s is None:
        click.echo(result.id)
        return 0
    result.get(timeout=wait_s, propagate=False)
    return show_result(result)


def _warn_of_unknown(app: Any, name: str) -> None:
    """Say so when *name* is not known here: it may be a slip, or a task that other processes have the code of."""
    if name in app.tasks:
        return
    with contextlib.suppress(ImproperlyConfigured):  # a module that is only there where the workers are
        app.import_modules()
    app.finalize()
    if name not in app.tasks:
        nearest = suggest(name, app.tasks.regular())
        click.echo(f"umbel: no task {name!r} is known here{nearest}; sent all the same, by its name", err=True)
