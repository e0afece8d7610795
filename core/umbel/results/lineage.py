"""Results and the steps before them: a chain may be thousands of steps long, so nothing here calls itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umbel.results.sets import Member

__all__ = ["lineage", "tuple_of"]


def lineage(result: Member) -> Iterator[Member]:
    """Yield *result*, then that of the step before it, and so on."""
    node: Member | None = result
    while node is not None:
        yield node
        node = node.parent


def tuple_of(result: Member, most: int | None = None) -> list[Any]:
    """Return ``[[id, parent], members]`` of *result*, with no more than *most* steps before it."""
    nodes: list[Member] = []
    for node in lineage(result):
        if most is not None and len(nodes) > most:
            break
        nodes.append(node)
    head: list[Any] | None = None
    for node in reversed(nodes):
        head = [[node.id, head], node.members_as_tuples()]
    return head or []
