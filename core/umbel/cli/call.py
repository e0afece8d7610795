"""``umbel call``: call a task by its name."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import click

from umbel.cli.session import Session

__all__ = ["command"]


class _Json(click.ParamType):
    name = "json"

    def __init__(self, kind: type[Any], example: str) -> None:
        self._kind = kind
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            decoded = json.loads(value)
        except ValueError as error:
            self.fail(f"expected JSON such as {self._example}, got {value!r}: {error}", param, ctx)
        if not isinstance(decoded, self._kind):
            self.fail(f"expected JSON such as {self._example}, got {value!r}", param, ctx)
        return decoded


class _Time(click.ParamType):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        if isinstance(value, dt.datetime):
            return value
        try:
            parsed = dt.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"expected an ISO 8601 time such as 2030-01-31T12:00:00+01:00, got {value!r}", param, ctx)
        return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=dt.UTC)


class _SecondsOrTime(_Time):
    name = "seconds or time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return float(value)
        except (TypeError, ValueError):
            return super().convert(value, param, ctx)


@click.command("call")
@click.argument("name")
@click.option("-a", "--args", type=_Json(list, "'[1, 2]'"), default="[]", help="Positional arguments, a JSON list.")
@click.option("-k", "--kwargs", type=_Json(dict, "'{\"x\": 1}'"), default="{}", help="Named arguments, a JSON object.")
@click.option("--eta", type=_Time(), help="Not before this time (ISO 8601).")
@click.option("--countdown", type=float, metavar="S", help="Not before so many seconds from now.")
@click.option("--expires", type=_SecondsOrTime(), help="Not after so many seconds from now, or after this time.")
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
    """Call the task NAME and print the id of the call."""
    app = session.app
    given = {option: value for option, value in options.items() if value is not None}
    result = app.send_task(name, args, kwargs, **given)
    if wait_s is None:
        click.echo(result.id)
        return 0
    value = result.get(timeout=wait_s)
    click.echo(json.dumps(value, default=repr))
    return 0
