"""Celery's command lines in Procfiles, Dockerfiles, systemd units, shell scripts and compose files."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

import click

from umbel.host import Host
from umbel.suggestions import suggest
from umbel_extension_celery.command_group import celery, commands_of_packages
from umbel_extension_celery.migrating.findings import Finding, Level
from umbel_extension_celery.migrating.pool_rules import judge_pool
from umbel_extension_celery.migrating.reading import Source

__all__ = ["find_command_lines"]

#: The program, at the beginning of a command: after a blank, a path, a quote.
_PROGRAM: Final = re.compile(r"(?:^|[\s\"'/;&|(`=:])(?:python[\d.]*\s+-m\s+)?celery(?=\s+[-\w])")
_JSON: Final = re.compile(r"\[\s*\"[^\]]*\"celery\"[^\]]*\]|\[\s*\"celery\"[^\]]*\]")
_ENDS: Final = frozenset({"&&", "||", ";", "|", "&", ">", ">>", "<", "2>&1", "2>", "\\"})
_WORD: Final = re.compile(r"[a-z][\w-]*")


def find_command_lines(source: Source) -> Iterator[Finding]:
    """Yield a finding for each of Celery's command lines in the file, and each option that Umbel does not have."""
    for line, text in _logical_lines(source.text):
        if text.lstrip().startswith("#"):
            continue
        for words in (*_json_commands(text), *_plain_commands(text)):
            yield from _judge(words, source.name, line)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (number of the first line, text), with lines joined that end in a backslash."""
    start, joined = 1, ""
    for number, line in enumerate(text.splitlines(), 1):
        if not joined:
            start = number
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        yield start, joined + line
        joined = ""
    if joined:
        yield start, joined


def _json_commands(text: str) -> Iterator[list[str]]:
    for found in _JSON.finditer(text):
        try:
            words = [str(word) for word in json.loads(found.group())]
        except ValueError:
            continue
        yield words[words.index("celery") + 1 :]


def _plain_commands(text: str) -> Iterator[list[str]]:
    for found in _PROGRAM.finditer(text):
        rest = text[found.end() :].strip()
        quote = text[found.start()] if text[found.start()] in "\"'`" else ""
        rest = rest.partition(quote)[0] if quote else rest
        try:
            words = shlex.split(rest, comments=True)
        except ValueError:  # a quote that was opened before the program's name
            words = rest.replace('"', " ").replace("'", " ").split()
        yield list(_up_to_the_end(words))


def _up_to_the_end(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word in _ENDS:
            return
        yield word.rstrip(";")
        if word.endswith(";"):
            return


def _judge(words: list[str], file: str, line: int) -> Iterator[Finding]:
    """Yield the findings for ``celery WORDS``."""
    group: click.Command = celery
    context, command, left = click.Context(group), group, list(words)
    named: list[str] = []
    of_packages = commands_of_packages()
    problems: list[Finding] = []
    while left:
        word = left.pop(0)
        if word.startswith("-") and len(word) > 1:
            problems.extend(_option(word, left, (command, group), file, line))
        elif command is group and word in of_packages:
            named.append(word)  # not loaded: a package's options are its own
            break
        elif isinstance(command, click.Group):
            found, problem = _subcommand(command, context, word)
            if found is None:
                if not named and not _WORD.fullmatch(word):
                    return  # prose, not a command line
                problems.append(Finding(Level.CHANGE, "command", f"celery {word}", problem, file, line))
                break
            command, context = found, click.Context(found, parent=context, info_name=word)
            named.append(word)
            if found.context_settings.get("ignore_unknown_options"):
                break  # multi: it reads its words by itself
    if not named and not problems:
        return
    shown = shlex.join(words)
    level = Level.MAPS if all(problem.level is Level.MAPS for problem in problems) else Level.DIFFERS
    yield Finding(level, "command", f"celery {shown}", f"umbel celery {shown}", file, line)
    yield from problems


def _subcommand(command: click.Group, context: click.Context, word: str) -> tuple[click.Command | None, str]:
    try:
        found = command.get_command(context, word)
    except click.UsageError as error:
        return None, error.message
    known = command.list_commands(context)
    return found, "" if found is not None else f"Umbel has no such command{suggest(word, known)}"


def _option(
    word: str, left: list[str], commands_there: Sequence[click.Command], file: str, line: int
) -> Iterator[Finding]:
    """Yield what is to be said of the option *word*; take its value off *left*."""
    is_long = word.startswith("--")
    name, equals, value = word.partition("=") if is_long else (word[:2], "", word[2:])
    for command in commands_there:
        for parameter in command.params:
            if isinstance(parameter, click.Option) and name in (*parameter.opts, *parameter.secondary_opts):
                takes_value = not parameter.is_flag and not parameter.count
                if takes_value and not equals and not value and left:
                    value = left.pop(0)
                if name in ("-P", "--pool"):
                    yield judge_pool(value.lstrip("="), file, line, Host())
                return
    advice = f"Umbel has no such option{suggest(name, _options(commands_there))}"
    yield Finding(Level.CHANGE, "command", f"option {name}", advice, file, line)


def _options(commands_there: Sequence[click.Command]) -> list[str]:
    return [name for command in commands_there for parameter in command.params for name in parameter.opts]
