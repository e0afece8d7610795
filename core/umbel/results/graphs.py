"""Workflows as pictures: the tree of a result and everything that came of it, as text, DOT or Mermaid."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from umbel.exceptions import IncompleteStream
from umbel.results.lineage import lineage
from umbel.states import FAILURE, READY_STATES, REVOKED, SUCCESS

if TYPE_CHECKING:
    from umbel.results.async_result import AsyncResult
    from umbel.results.sets import Member

__all__ = ["GraphNode", "ResultGraph", "build_graph"]

_COLOURS: Final = {SUCCESS: "palegreen", FAILURE: "salmon", REVOKED: "lightgrey"}


@attrs.define(eq=False)
class GraphNode:
    """A call, or a group of them (*state* of a group: ``done/all``). *children* came of it, in order.

    *name*, and the time it ended, are known where the worker had ``result_extended``, and where it has ended.
    """

    id: str
    state: str
    name: str | None = None
    is_group: bool = False
    date_done: dt.datetime | None = None
    error: str | None = None
    children: list[GraphNode] = attrs.field(factory=list)

    @property
    def label(self) -> str:
        """What it is called in pictures."""
        return self.name or ("group" if self.is_group else "task")


@attrs.define(eq=False)
class ResultGraph:
    """The workflow below *root*. Iterating gives all nodes, parents first; ``str()`` is a tree for people."""

    root: GraphNode

    def __iter__(self) -> Iterator[GraphNode]:
        return (node for node, _, _ in self._walk())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def edges(self) -> list[tuple[str, str]]:
        """Return (id of what called, id of what was called)."""
        return [(parent.id, node.id) for node, parent, _ in self._walk() if parent is not None]

    def to_text(self) -> str:
        """Return a tree: a line for each call with its state, its id, and why it failed."""
        lines = []
        for node, _, prefix in self._walk():
            when = "" if node.date_done is None else f" {node.date_done:%Y-%m-%d %H:%M:%S}"
            why = "" if node.error is None else f" {node.error}"
            lines.append(f"{prefix}{node.label} [{node.id}] {node.state}{when}{why}")
        return "\n".join(lines)

    __str__ = to_text

    def to_dot(self) -> str:
        """Return the graph in Graphviz' language."""
        lines = ["digraph workflow {", "  node [shape=box, style=filled, fillcolor=white];"]
        for node in self:
            shape = ", shape=folder" if node.is_group else ""
            colour = _COLOURS.get(node.state, "white")
            label = f"{node.label}\\n{node.state}".replace('"', "'")
            lines.append(f'  "{node.id}" [label="{label}", fillcolor={colour}{shape}];')
        lines += [f'  "{parent}" -> "{child}";' for parent, child in self.edges()]
        return "\n".join([*lines, "}"])

    def to_mermaid(self) -> str:
        """Return the graph as a Mermaid flowchart, which many documents and forges draw."""
        numbers = {id(node): f"n{number}" for number, node in enumerate(self)}
        lines = ["flowchart TD"]
        for node in self:
            label = f"{node.label}<br/>{node.state}".replace('"', "'")
            lines.append(f'  {numbers[id(node)]}["{label}"]')
        for node, parent, _ in self._walk():
            if parent is not None:
                lines.append(f"  {numbers[id(parent)]} --> {numbers[id(node)]}")
        return "\n".join(lines)

    to_str = to_text

    def to_svg(self) -> str:
        """Return the graph as an SVG picture; no other program is needed."""
        from umbel.results.pictures import to_svg  # for start-up, and it stands above this module

        return to_svg(self)

    def _walk(self) -> Iterator[tuple[GraphNode, GraphNode | None, str]]:
        """Yield each node with its parent and the text in front of it in a tree; no recursion: chains are long."""
        waiting: list[tuple[GraphNode, GraphNode | None, str, str]] = [(self.root, None, "", "")]
        while waiting:
            node, parent, prefix, below = waiting.pop()
            yield node, parent, prefix
            last = len(node.children) - 1
            for index in range(last, -1, -1):
                is_last = index == last
                branch, further = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
                waiting.append((node.children[index], node, below + branch, below + further))


def build_graph(result: Member, *, intermediate: bool = True, names: Mapping[str, str] | None = None) -> ResultGraph:
    """Return the workflow that *result* stands in: the steps before it, as far as they are known, and what came of all.

    It is read level by level, one request to the store for each. *names* are those of tasks that have not ended. Raises
    :class:`~umbel.exceptions.IncompleteStream` for a task that has not ended, unless *intermediate* is on.
    """
    made: dict[str, GraphNode] = {}
    level: list[tuple[Member, GraphNode]] = []
    top = GraphNode("", "")
    _attach(top, result, made, level)
    while level:
        following: list[tuple[Member, GraphNode]] = []
        _load_all([found for found, _ in level])
        for found, node in level:
            children = _fill(found, node, names or {}, intermediate=intermediate)
            if node.is_group:
                # What comes before a group comes before each member, and is drawn once; what follows comes last.
                members = [(child, GraphNode(child.id, "")) for child in children if child.id not in made]
                made.update((member.id, member) for _, member in members)
                node.children[:0] = [member for _, member in members]
                following.extend(members)
            else:
                for child in children:
                    _attach(node, child, made, following)
        level = following
    return ResultGraph(top.children[0])


def _attach(
    above: GraphNode, result: Member, made: dict[str, GraphNode], following: list[tuple[Member, GraphNode]]
) -> None:
    """Put *result* below *above*, with the steps before it in between; what is drawn already stays where it is."""
    for step in reversed(list(lineage(result))):
        node = made.get(step.id)
        if node is None:
            node = made[step.id] = GraphNode(step.id, "")
            above.children.append(node)
            following.append((step, node))
        above = node


def _fill(result: Member, node: GraphNode, names: Mapping[str, str], *, intermediate: bool) -> list[Member]:
    """Read *result* into *node*; return what came of it."""
    members: list[Member] | None = getattr(result, "results", None)
    if members is not None:
        done = sum(member.ready() for member in members)
        node.is_group, node.state = True, f"{done}/{len(members)}"
        return members
    single: Any = result
    node.state = single.state
    node.name, node.date_done = single.name or names.get(single.id), single.date_done
    if node.state in READY_STATES:
        node.error = repr(single.result) if node.state != SUCCESS else None
    elif not intermediate:
        raise IncompleteStream(f"result {single.id} is not ready; intermediate=True goes on without it")
    return single.children or []


def _load_all(results: list[Member]) -> None:
    """Read the results of one level that are not final yet in one request."""
    pending: dict[str, AsyncResult[Any]] = {}
    for result in results:
        members: Any = result
        leaves: list[AsyncResult[Any]] = members.leaves() if hasattr(members, "leaves") else [members]
        pending.update({leaf.id: leaf for leaf in leaves if not leaf.is_settled})
    if pending:
        first = next(iter(pending.values()))
        for meta in first.backend.load(list(pending)):
            if meta is not None:
                pending[meta.task_id].accept(first.app.results.decode(meta))
