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

_COLOURS: Final = {SUCCESS: "green", FAILURE: "red", REVOKED: "magenta"}


@click.group("flow")
def command() -> None:
    """Show workflows."""


@command.command("show")
@click.argument("flow_id")
@click.option("--dot", "form", flag_value="dot", help="In the language of Graphviz: ... | dot -Tsvg > flow.svg")
@click.option("--mermaid", "form", flag_value="mermaid", help="As a Mermaid flowchart.")
@click.option("-w", "--watch", "every_s", type=click.FloatRange(min=0.1), metavar="S", help="Again every S seconds.")
@click.pass_obj
def _show(session: Session, flow_id: str, form: str | None, every_s: float | None) -> None:
    """Draw the workflow FLOW_ID as a tree, with the state of each task.

    FLOW_ID is the id of its first or last task or of a group, where results are extended (result_extended); else that of
    any task in it, and what came of that is drawn.
    """
    app = session.app
    while True:
        graph = flow_graph(app, flow_id)
        if every_s is not None and form is None:
            click.clear()
        _write(graph, form)
        if every_s is None or _has_ended(graph):
            return
        time.sleep(every_s)


def _write(graph: ResultGraph, form: str | None) -> None:
    if form is not None:
        click.echo(graph.to_dot() if form == "dot" else graph.to_mermaid())
        return
    states = [node.state for node in graph if not node.is_group]
    for node, line in zip(graph, graph.to_text().splitlines(), strict=True):
        click.secho(line, fg=_COLOURS.get(node.state))
    done = sum(state in READY_STATES for state in states)
    click.echo(f"{done} of {len(states)} tasks have ended", err=True)


def _has_ended(graph: ResultGraph) -> bool:
    return all(node.is_group or node.state in READY_STATES for node in graph)
