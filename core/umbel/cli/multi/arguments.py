"""What stands on the command line of ``umbel multi``: names of nodes, and options for all of them or for some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs
import click

from umbel.suggestions import suggest
from umbel.worker.naming import DEFAULT_NAME, node_name

__all__ = ["MULTI_OPTIONS", "Arguments", "parse"]

#: Options of ``multi`` itself, which no worker gets; those that take no value are true.
MULTI_OPTIONS: Final[Mapping[str, bool]] = {
    "--executable": False,
    "--range-prefix": False,
    "--suffix": False,
    "--nosplash": True,
    "--verbose": True,
}
_MOST_NODES: Final = 1000


@attrs.define
class _Option:
    """One option as it was given; *target* names the nodes that it is for (``None``: all)."""

    name: str
    value: str | None
    target: str | None = None


@attrs.frozen
class Arguments:
    """The full names of the nodes, in their order, and each one's options: (option, value or ``None``)."""

    nodes: Mapping[str, Sequence[tuple[str, str | None]]]
    #: The options of ``multi`` itself.
    own: Mapping[str, str | None]
    #: What stands behind ``--``, for every node.
    rest: Sequence[str]


def parse(words: Sequence[str], known: Mapping[str, tuple[str, bool]]) -> Arguments:
    """Read *words*. *known* maps each spelling of an option to (its own name, whether it takes no value).

    ``-c 3`` is for all nodes, ``-c:w1 10``, ``-c:1-3 10`` and ``-c:1,2 10`` for those, which stands above it. Names are
    what is left; one number alone stands for so many names. Raises :class:`click.UsageError`.
    """
    names: list[str] = []
    options: list[_Option] = []
    left = list(words)
    rest: list[str] = []
    while left:
        word = left.pop(0)
        if word == "--":
            rest = left
            break
        if word.startswith("-") and word != "-":
            options.append(_option(word, left, known))
        else:
            names.append(word)
    own = {option.name: option.value for option in options if option.name in MULTI_OPTIONS}
    suffix = own.pop("--suffix", None)
    for_nodes = [option for option in options if option.name not in MULTI_OPTIONS]
    hosts = [option for option in for_nodes if option.name == "--hostname"]
    if hosts:
        suffix = hosts[-1].value
    nodes = _nodes(names, own.get("--range-prefix") or DEFAULT_NAME, (suffix or "%h").lstrip("@."))
    found = {node: dict[str, str | None]() for node in nodes}
    for option in sorted(for_nodes, key=lambda option: option.target is not None):  # what is for some stands above
        if option.name != "--hostname":
            for node in _targets(option, nodes):
                found[node][option.name] = option.value
    return Arguments({node: list(each.items()) for node, each in found.items()}, own, rest)


def _option(word: str, left: list[str], known: Mapping[str, tuple[str, bool]]) -> _Option:
    spelling, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
    spelling, colon, target = spelling.partition(":")
    if not word.startswith("--") and len(spelling) > 2:  # -c3, -linfo
        spelling, value, equals = spelling[:2], spelling[2:] + colon + target, "="
        colon = target = ""
    target, _, attached = target.partition(":")
    if attached:  # -Q:4,5:data
        value, equals = attached, "="
    if spelling not in known:
        raise click.UsageError(f"no option {spelling}{suggest(spelling, known)}")
    name, takes_none = known[spelling]
    if colon and not target:
        raise click.UsageError(f"expected nodes behind the colon, such as {spelling}:1-3, got {word!r}")
    if takes_none:
        if equals:
            raise click.UsageError(f"{spelling} takes no value, got {word!r}")
        return _Option(name, None, target or None)
    if not equals:
        if not left:
            raise click.UsageError(f"expected a value behind {word}")
        value = left.pop(0)
    return _Option(name, value, target or None)


def _nodes(names: Sequence[str], prefix: str, suffix: str) -> list[str]:
    if len(names) == 1 and names[0].isdecimal():
        count = int(names[0])
        if not 1 <= count <= _MOST_NODES:
            raise click.UsageError(f"expected between 1 and {_MOST_NODES} nodes, got {count}")
        names = [f"{prefix}{number}" for number in range(1, count + 1)]
    if not names:
        raise click.UsageError("expected names of nodes, such as w1 w2, or how many there are to be")
    full = [node_name(name if "@" in name else f"{name}@{suffix}") for name in names]
    twice = sorted({name for name in full if full.count(name) > 1})
    if twice:
        raise click.UsageError(f"expected each node once, got {', '.join(twice)} more than once")
    return full


def _targets(option: _Option, nodes: Sequence[str]) -> Iterator[str]:
    """Give the nodes that *option* is for: by their numbers, from 1 on, or by their names."""
    if option.target is None:
        yield from nodes
        return
    by_name = {**{node.partition("@")[0]: node for node in nodes}, **{node: node for node in nodes}}
    for part in option.target.split(","):
        first, dash, last = part.partition("-")
        if part in by_name:
            yield by_name[part]
        elif first.isdecimal() and (not dash or last.isdecimal()):
            numbers = range(int(first), int(last or first) + 1)
            if not numbers or numbers[0] < 1 or numbers[-1] > len(nodes):
                raise click.UsageError(f"{option.name}:{part} is for nodes that are not there; there are {len(nodes)}")
            yield from (nodes[number - 1] for number in numbers)
        else:
            raise click.UsageError(f"{option.name}:{part} is for no node{suggest(part, by_name)}")
