"""``umbel flow``: workflows as pictures."""

from __future__ import annotations

import time
from typing import Final

import click

from umbel.cli.session import Session
from umbel.results.flows import flow_graph
from umbel.results.graphs import ResultGraph
from umbel.states import FAILURE, READY_STATES, REVOKED, SUCCESS

__all__ = ["command"]

_BAR_LENGTH: Final = 40
_COLOURS: Final = {SUCCESS: "green", FAILURE: "red", REVOKED: "magenta"}


@click.group("flow")
def command() -> None:
    """Show workflows."""


@command.command("show")
@click.argument("flow_id")
@click.option("--dot", "form", flag_value="dot", help="In the language of Graphviz: ... | dot -Tsvg > flow.svg")
@click.option("--mermaid", "form", flag_value="mermaid", help="As a Mermaid flowchart.")
@click.option("--svg", "form", flag_value="svg", help="As an SVG picture: ... > flow.svg")
@click.option(
    "-w", "--watch", "every_s", type=click.FloatRange(min=0.1), is_flag=False, flag_value=1.0, metavar="[S]",
    help="Again every S seconds (1) until all has ended, with a bar that shows how far it is.",
)  # fmt: skip
@click.pass_obj
def _show(session: Session, flow_id: str, form: str | None, every_s: float | None) -> None:
    """Draw the workflow FLOW_ID as a tree, with the state of each task.

    FLOW_ID is the id of its first or last task or of a group, where results are extended (result_extended); else that of
    any task in it, and what came of that is drawn.
    """
    began = time.monotonic()
    first: int | None = None
    while True:
        graph = flow_graph(session.app, flow_id)
        done, total = _progress(graph)
        first = done if first is None else first
        if every_s is None or form is not None:
            _write(graph, form)
        else:
            click.clear()
            _write(graph, None)
            click.echo(_bar(done, total, first, time.monotonic() - began))
        if form is None and every_s is None:
            click.echo(f"{done} of {total} tasks have ended", err=True)
        if every_s is None or done == total:
            return
        time.sleep(every_s)


def _write(graph: ResultGraph, form: str | None) -> None:
    if form is not None:
        click.echo({"dot": graph.to_dot, "mermaid": graph.to_mermaid, "svg": graph.to_svg}[form]())
        return
    for node, line in zip(graph, graph.to_text().splitlines(), strict=True):
        click.secho(line, fg=_COLOURS.get(node.state))


def _progress(graph: ResultGraph) -> tuple[int, int]:
    """Return how many tasks have ended, and how many are known."""
    states = [node.state for node in graph if not node.is_group]
    return sum(state in READY_STATES for state in states), len(states)


def _bar(done: int, total: int, first: int, passed_s: float) -> str:
    """Return a line that shows how far the workflow is, and about how long it will take at the pace since *first*."""
    share = done / total if total else 1.0
    filled = int(share * _BAR_LENGTH)
    left = ""
    if first < done < total:
        left = f", about {(total - done) * passed_s / (done - first):,.0f} s to go"
    return f"[{'#' * filled}{'.' * (_BAR_LENGTH - filled)}] {share:4.0%} {done} of {total}{left}"
