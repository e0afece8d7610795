"""What commands that third parties add to ``celery`` are made of."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import click

from umbel.log import LEVELS, parse_level

__all__ = [
    "COMMA_SEPARATED_LIST",
    "ISO8601",
    "ISO8601_OR_FLOAT",
    "JSON_ARRAY",
    "JSON_OBJECT",
    "LOG_LEVEL",
    "CeleryCommand",
    "CeleryDaemonCommand",
    "CeleryOption",
    "CommaSeparatedList",
    "ISO8601DateTime",
    "ISO8601DateTimeOrFloat",
    "JsonArray",
    "JsonObject",
    "LogLevel",
]


class CeleryOption(click.Option):
    """An option with a *help_group*, and a default that may come from the context's object."""

    def __init__(
        self, *args: Any, help_group: str | None = None, default_value_from_context: str | None = None, **kwargs: Any
    ) -> None:
        self.help_group = help_group or "Options"
        self.default_value_from_context = default_value_from_context
        super().__init__(*args, **kwargs)

    def get_default(self, ctx: click.Context, *args: Any, **kwargs: Any) -> Any:
        """Return the default."""
        if self.default_value_from_context and ctx.obj is not None:
            self.default = getattr(ctx.obj, self.default_value_from_context, None)
        return super().get_default(ctx, *args, **kwargs)


class CeleryCommand(click.Command):
    """A command whose help shows its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(getattr(parameter, "help_group", "Options"), []).append(record)
        for name, rows in groups.items():
            with formatter.section(name):
                formatter.write_dl(rows)


class CeleryDaemonCommand(CeleryCommand):
    """A command that may detach."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for names, metavar in (
            (("-f", "--logfile"), "FILE"),
            (("--pidfile",), "FILE"),
            (("--uid",), "USER"),
            (("--gid",), "GROUP"),
            (("--umask",), "OCTAL"),
            (("--executable",), "FILE"),
        ):
            self.params.append(CeleryOption(names, metavar=metavar, help_group="Daemonization Options"))


class CommaSeparatedList(click.ParamType[Any]):
    """Text with commas, as a list."""

    name = "comma separated list"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the list."""
        return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


class _Json(click.ParamType[Any]):
    kind: type[Any] = object

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            found = json.loads(value)
        except ValueError as error:
            self.fail(f"expected JSON, got {value!r}: {error}", param, ctx)
        if not isinstance(found, self.kind):
            self.fail(f"expected a JSON {self.name.partition(' ')[2]}, got {value!r}", param, ctx)
        return found


class JsonArray(_Json):
    """A JSON array."""

    name = "json array"
    kind = list


class JsonObject(_Json):
    """A JSON object."""

    name = "json object"
    kind = dict


class ISO8601DateTime(click.ParamType[Any]):
    """A time in ISO 8601."""

    name = "iso-86091"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the time."""
        if not isinstance(value, str):
            return value
        try:
            return dt.datetime.fromisoformat(value)
        except ValueError as error:
            self.fail(f"expected a time such as 2030-01-31T12:00:00+00:00, got {value!r}: {error}", param, ctx)


class ISO8601DateTimeOrFloat(ISO8601DateTime):
    """A time in ISO 8601, or a number of seconds."""

    name = "iso-86091 or float"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the time or number."""
        try:
            return float(value)
        except (TypeError, ValueError):
            return super().convert(value, param, ctx)


class LogLevel(click.Choice[str]):
    """The name of a log level; the command gets its number."""

    def __init__(self) -> None:
        super().__init__(list(LEVELS), case_sensitive=False)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the level's number."""
        try:
            return parse_level(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


COMMA_SEPARATED_LIST = CommaSeparatedList()
JSON_ARRAY = JsonArray()
JSON_OBJECT = JsonObject()
ISO8601 = ISO8601DateTime()
ISO8601_OR_FLOAT = ISO8601DateTimeOrFloat()
LOG_LEVEL = LogLevel()
