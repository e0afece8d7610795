"""A workflow as a picture in SVG: a tree from left to right, drawn without any other program."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

import attrs

from umbel.states import FAILURE, PENDING, READY_STATES, RETRY, REVOKED, STARTED, SUCCESS

if TYPE_CHECKING:
    from umbel.results.graphs import GraphNode, ResultGraph

__all__ = ["to_svg"]

_WIDTH: Final = 190  # of a box, in pixels
_HEIGHT: Final = 38
_COLUMN: Final = 250
_ROW: Final = 50
_MARGIN: Final = 20
_LABEL_LENGTH: Final = 26
#: More members of a group than this are drawn as one box that counts them; those that failed are drawn first.
_MOST_CHILDREN: Final = 40
_COLOURS: Final = {
    SUCCESS: ("#e3f6e5", "#2e7d32"),
    FAILURE: ("#fde4e1", "#c62828"),
    REVOKED: ("#eceff1", "#546e7a"),
    RETRY: ("#fff3d6", "#b26a00"),
    STARTED: ("#e1effe", "#1565c0"),
    PENDING: ("#ffffff", "#8a8f98"),
}
_GROUP: Final = ("#f4f0fb", "#5e4b9b")
_OTHER: Final = ("#e1effe", "#1565c0")


def to_svg(graph: ResultGraph) -> str:
    """Return *graph* as an SVG document: a box for each call, coloured by its state; ids and errors show on pointing."""
    placed = _place(graph.root)
    columns = 1 + max(column for _, _, column, _ in placed)
    rows = 1 + max(row for _, _, _, row in placed)
    width = 2 * _MARGIN + (columns - 1) * _COLUMN + _WIDTH
    height = 2 * _MARGIN + (rows - 1) * _ROW + _HEIGHT
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif">',
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
    ]
    lines += [_edge(placed[above], (column, row)) for _, above, column, row in placed if above is not None]
    lines += [_box(node, column, row) for node, _, column, row in placed]
    return "\n".join([*lines, "</svg>"])


def _place(root: GraphNode) -> list[tuple[GraphNode, int | None, int, float]]:
    """Return (node, number of the one above, column, row), those above first: leaves have a row each, others the middle."""
    found: list[tuple[GraphNode, int | None, int]] = []
    below: dict[int, list[int]] = {}
    waiting: list[tuple[GraphNode, int | None, int]] = [(root, None, 0)]
    while waiting:  # no recursion: chains are long
        node, above, column = waiting.pop()
        number = len(found)
        found.append((node, above, column))
        if above is not None:
            below.setdefault(above, []).append(number)
        waiting.extend((child, number, column + 1) for child in reversed(_shown(node.children)))
    rows: dict[int, float] = {}
    leaves = 0
    for number in range(len(found)):
        if number not in below:
            rows[number] = leaves
            leaves += 1
    for number in reversed(range(len(found))):
        if number in below:
            rows[number] = (rows[below[number][0]] + rows[below[number][-1]]) / 2
    return [(node, above, column, rows[number]) for number, (node, above, column) in enumerate(found)]


def _shown(children: list[GraphNode]) -> list[GraphNode]:
    if len(children) <= _MOST_CHILDREN:
        return children
    by_interest = sorted(range(len(children)), key=lambda index: (children[index].error is None, index))
    chosen = set(by_interest[:_MOST_CHILDREN])
    others = [child for index, child in enumerate(children) if index not in chosen]
    states = Counter(child.state for child in others)
    counts = ", ".join(f"{count} {state}" for state, count in states.most_common())
    name = f"... and {len(others)} more"
    folded = attrs.evolve(
        others[0], id="", state=counts, name=name, is_group=True, date_done=None, error=None, children=[]
    )
    return [*(children[index] for index in sorted(chosen)), folded]


def _edge(above: tuple[GraphNode, int | None, int, float], to: tuple[int, float]) -> str:
    _, _, column, row = above
    x1, y1 = _MARGIN + column * _COLUMN + _WIDTH, _MARGIN + row * _ROW + _HEIGHT / 2
    x2, y2 = _MARGIN + to[0] * _COLUMN, _MARGIN + to[1] * _ROW + _HEIGHT / 2
    middle = (x1 + x2) / 2
    path = f"M{x1:g},{y1:g} C{middle:g},{y1:g} {middle:g},{y2:g} {x2:g},{y2:g}"
    return f'<path d="{path}" fill="none" stroke="#b4b9c2" stroke-width="1.5"/>'


def _box(node: GraphNode, column: int, row: float) -> str:
    x, y = _MARGIN + column * _COLUMN, _MARGIN + row * _ROW
    fill, stroke = _GROUP if node.is_group else _COLOURS.get(node.state, _OTHER)
    dashes = "" if node.is_group or node.state in READY_STATES else ' stroke-dasharray="4 3"'
    label = node.label if len(node.label) <= _LABEL_LENGTH else f"{node.label[: _LABEL_LENGTH - 1]}\u2026"
    when = "" if node.date_done is None else f" \u00b7 {node.date_done:%H:%M:%S}"
    state = f"{node.state}{when}"
    state = state if len(state) <= _LABEL_LENGTH + 4 else f"{state[: _LABEL_LENGTH + 3]}\u2026"
    told = "\n".join(filter(None, (node.label, node.id, node.state, node.error)))
    return (
        f"<g><title>{escape(told)}</title>"
        f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}" stroke="{stroke}"{dashes}/>'
        f'<text x="{x + 10:g}" y="{y + 16:g}" font-size="12" fill="#1f2430">{escape(label)}</text>'
        f'<text x="{x + 10:g}" y="{y + 30:g}" font-size="10" fill="{stroke}">{escape(state)}</text></g>'
    )
