"""``umbel plugins check``."""

from __future__ import annotations

import importlib.util

import click

from umbel.cli.plugins.choosing import find_all, kind_option
from umbel.exceptions import UmbelError
from umbel.host import Host

__all__ = ["check_plugin"]


@click.command("check")
@click.argument("name")
@kind_option
@click.option("--url", help="Where the plugin's live service is; its data may be lost.")
def check_plugin(name: str, kind: str | None, url: str | None) -> int:
    """Run the conformance suite of its kind against the plugin NAME, and its live service where it has one.

    The exit code is 0 when every test for what the plugin declares has passed.
    """
    if importlib.util.find_spec("pytest") is None:
        raise UmbelError("the conformance suites need pytest, which is not installed: pip install 'umbel[testing]'")
    from umbel.testing import check  # for start-up: the suites bring pytest along

    host = Host()
    worst = 0
    for installed in find_all(host, name, kind):
        chosen = f"{installed.name}@{installed.distribution}"
        host.load(installed.kind, chosen)
        click.echo(f"checking {installed}")
        worst = max(worst, int(check(installed.kind, chosen, url)))
    return worst
