"""Names of nodes and options for some of them, as ``umbel multi`` reads them."""

from __future__ import annotations

import click
import pytest

from umbel.cli.multi.arguments import parse

KNOWN = {
    "-c": ("--concurrency", False),
    "--concurrency": ("--concurrency", False),
    "-Q": ("--queues", False),
    "--queues": ("--queues", False),
    "-E": ("--task-events", True),
    "-n": ("--hostname", False),
    "--suffix": ("--suffix", False),
    "--range-prefix": ("--range-prefix", False),
    "-l": ("--loglevel", False),
}


def read(line: str) -> dict[str, dict[str, str | None]]:
    """Return node -> its options."""
    return {node: dict(options) for node, options in parse(line.split(), KNOWN).nodes.items()}


@pytest.mark.parametrize(
    ("line", "nodes"),
    [
        ("w1@h w2@h", ["w1@h", "w2@h"]),
        ("w1 w2 -n host", ["w1@host", "w2@host"]),
        ("w1 --suffix .host", ["w1@host"]),
        ("3 -n h", ["umbel1@h", "umbel2@h", "umbel3@h"]),
        ("2 -n h --range-prefix job", ["job1@h", "job2@h"]),
        ("-E w1@h", ["w1@h"]),
    ],
)
def test_nodes_are_named_or_counted(line: str, nodes: list[str]) -> None:
    """[B715] an option without a value does not swallow a name."""
    assert list(read(line)) == nodes


@pytest.mark.parametrize(
    ("line", "sizes"),
    [
        ("3 -n h -c 3", ["3", "3", "3"]),
        ("3 -n h -c 3 -c:1 10", ["10", "3", "3"]),
        ("3 -n h -c:1-2 10 -c 3", ["10", "10", "3"]),
        ("3 -n h -c:1,3 10 --concurrency=3", ["10", "3", "10"]),
        ("a@h b@h c@h -c3 -c:b 5", ["3", "5", "3"]),
        ("a@h b@h c@h --concurrency:a@h,c=4", ["4", None, "4"]),
        ("a@h b@h c@h -c:a,b:7", ["7", "7", None]),
    ],
)
def test_options_are_for_all_or_for_some(line: str, sizes: list[str | None]) -> None:
    """[B288] [B719] [B721] what is for some stands above what is for all, wherever it stands."""
    assert [options.get("--concurrency") for options in read(line).values()] == sizes


def test_the_example_of_the_manual() -> None:
    """[C007]"""
    found = read("10 -n h -l INFO -Q:1-3 images,video -Q:4,5 data -Q default -l:4,5 DEBUG")
    queues = [options["--queues"] for options in found.values()]
    assert queues == ["images,video"] * 3 + ["data"] * 2 + ["default"] * 5
    assert [options["--loglevel"] for options in found.values()] == ["INFO"] * 3 + ["DEBUG"] * 2 + ["INFO"] * 5


def test_what_stands_behind_two_dashes_goes_to_every_node() -> None:
    """[B161] [B723]"""
    assert parse(["w1@h", "--", "--http", "x"], KNOWN).rest == ["--http", "x"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "expected names of nodes"),
        ("-c 3", "expected names of nodes"),
        ("0", "between 1 and 1000 nodes, got 0"),
        ("w1@h w1@h", "each node once, got w1@h"),
        ("w1 -c", "expected a value behind -c"),
        ("w1 --conurrency 3", "did you mean '--concurrency'"),
        ("w1 -c:2 3", "there are 1"),
        ("w1 -c:2-1 3", "not there"),
        ("w1 -c:w2 3", "is for no node"),
        ("w1 -c: 3", "expected nodes behind the colon"),
        ("w1 -E=yes", "takes no value|no option"),
    ],
)
def test_what_makes_no_sense_is_refused(line: str, said: str) -> None:
    with pytest.raises(click.UsageError, match=said):
        read(line)
