"""A group of commands that imports a command's module when that command is run, and no earlier."""

from __future__ import annotations

import importlib
from typing import Any

import attrs
import click

from umbel.exceptions import PluginError
from umbel.suggestions import suggest

__all__ = ["LazyCommand", "LazyGroup"]


@attrs.frozen
class LazyCommand:
    """Where a command is, as ``module:attribute``, and its one line of help."""

    target: str
    help: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


class LazyGroup(click.Group):
    """The commands of a table, and behind them those of extensions, which are loaded for an unknown name alone."""

    def __init__(self, *args: Any, commands: dict[str, LazyCommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = commands

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the table, in its order."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, from the table or from an installed extension."""
        if cmd_name in self.table:
            return self.table[cmd_name].load()
        return _extension_command(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table into the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in self.table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or refuse with the nearest name."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None:
            raise click.UsageError(f"no command named {name!r}{suggest(name, self.table)}", ctx)
        return name, command, args[1:]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; one of our options that stands behind the command's name is told its place."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            ours = {name for parameter in self.params for name in parameter.opts}
            if error.option_name in ours and error.ctx is not None and error.ctx is not ctx:
                raise click.UsageError(
                    f"{error.option_name} stands before the command: "
                    f"{ctx.command_path} {error.option_name} ... {error.ctx.info_name}",
                    error.ctx,
                ) from error
            raise


def _extension_command(name: str) -> click.Command | None:
    from umbel.host import Host  # for start-up: only an unknown name needs the plugins

    host = Host()
    for extension in host.installed("extension"):
        try:
            host.extensions(None, [f"{extension.name}@{extension.distribution}"])
        except PluginError as error:  # another one may have the command
            click.echo(f"umbel: {error}", err=True)
    return next((command for command in host.cli_commands() if command.name == name), None)
