"""From the words of a command line to the arguments of a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from umbel.suggestions import suggest

if TYPE_CHECKING:
    from umbel.worker.control import Command

__all__ = ["arguments_of", "find", "listing"]


def find(commands: dict[str, Command], kind: str, name: str, others: dict[str, Command]) -> Command:
    """Return the command *name*, or refuse with the nearest name, or with where it stands instead."""
    if name in commands:
        return commands[name]
    if name in others:
        raise click.UsageError(f"{name} is not one of 'umbel {kind}': write umbel {others[name].kind} {name}")
    raise click.UsageError(
        f"no {kind} command named {name!r}{suggest(name, commands)}; there are {', '.join(sorted(commands))}"
    )


def arguments_of(command: Command, words: Sequence[str]) -> dict[str, Any]:
    """Return *words* as the arguments of *command*. Raises ``click.UsageError`` with the usage."""
    usage = f"usage: {command.name} {command.signature}".rstrip()
    found: dict[str, Any] = {}
    for (name, kind), word in zip(command.args, words, strict=False):
        try:
            found[name] = kind(word)
        except ValueError as error:
            raise click.UsageError(f"{command.name}: {name}: {error}; {usage}") from error
    rest = list(words[len(command.args) :])
    if command.variadic is not None:
        found[command.variadic] = rest
    elif rest:
        raise click.UsageError(f"{command.name}: too many arguments, from {rest[0]!r} on; {usage}")
    if command.signature.startswith("<") and not words:
        raise click.UsageError(f"{command.name}: arguments are missing; {usage}")
    return found


def listing(commands: dict[str, Command]) -> list[tuple[str, str]]:
    """Return (usage, help) of each command."""
    return [(f"{name} {command.signature}".rstrip(), command.help) for name, command in commands.items()]
