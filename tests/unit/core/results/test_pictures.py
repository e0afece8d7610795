"""Workflows as SVG pictures."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from umbel.results.graphs import GraphNode, ResultGraph
from umbel.states import FAILURE, PENDING, SUCCESS

_SVG = "{http://www.w3.org/2000/svg}"


def boxes(graph: ResultGraph) -> list[tuple[str, float, float]]:
    """Return (text, x, y) of each box."""
    root = ET.fromstring(graph.to_svg())
    found = []
    for box in root.iter(f"{_SVG}g"):
        rect, text = box.find(f"{_SVG}rect"), box.find(f"{_SVG}text")
        assert rect is not None
        assert text is not None
        found.append((str(text.text), float(rect.attrib["x"]), float(rect.attrib["y"])))
    return found


def test_boxes_stand_from_left_to_right_and_none_on_another() -> None:
    leaves = [GraphNode(f"l{number}", SUCCESS, f"leaf{number}") for number in range(3)]
    inner = GraphNode("i", SUCCESS, "inner", children=leaves[:2])
    root = GraphNode(
        "r", FAILURE, "shop.<root>&co", error="LookupError('<no such order>')", children=[inner, leaves[2]]
    )
    graph = ResultGraph(root)
    found = {text: (x, y) for text, x, y in boxes(graph)}
    assert set(found) == {"shop.<root>&co", "inner", "leaf0", "leaf1", "leaf2"}
    assert len(set(found.values())) == 5
    assert found["shop.<root>&co"][0] < found["inner"][0] < found["leaf0"][0]
    assert found["leaf0"][1] < found["inner"][1] < found["leaf1"][1] < found["leaf2"][1]
    assert "LookupError(&#x27;" in graph.to_svg() or "LookupError('&lt;no such order&gt;')" in graph.to_svg()


def test_many_members_are_folded_and_failures_are_shown() -> None:
    members = [GraphNode(f"m{number}", SUCCESS, f"member{number}") for number in range(1000)]
    members[900] = GraphNode("bad", FAILURE, "the bad one", error="Broken()")
    members[901] = GraphNode("open", PENDING, "the open one")
    texts = [text for text, _, _ in boxes(ResultGraph(GraphNode("g", "999/1000", is_group=True, children=members)))]
    assert len(texts) == 42
    assert "the bad one" in texts
    assert texts[-1] == "... and 960 more"


def test_a_chain_of_thousands_is_drawn() -> None:
    root = node = GraphNode("0", SUCCESS, "step")
    for number in range(1, 3000):
        node.children.append(GraphNode(str(number), SUCCESS, "step"))
        node = node.children[0]
    assert len(boxes(ResultGraph(root))) == 3000
