"""Results as they stand in messages and stores, and back (``WIRE.md`` 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from umbel.results.async_result import AsyncResult
from umbel.results.group_result import GroupResult
from umbel.results.sets import Member, ResultSet

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["result_from_tuple"]


def result_from_tuple(value: Any, app: Umbel | None = None) -> Member:
    """Return the result that ``as_tuple()`` gave: ``[[id, parent], None]``, or a group's ``[[id, parent], [members]]``.

    A result is returned as it is; a bare id is taken too. ``ValueError`` for anything else.
    """
    steps: list[tuple[str, Sequence[Any] | None]] = []
    parent: Member | None = None
    while value is not None:
        if isinstance(value, AsyncResult | ResultSet):
            parent = value
            break
        if isinstance(value, str):
            value = [[value, None], None]
        if not isinstance(value, Sequence) or len(value) != 2:
            raise ValueError(f"a result as a tuple: expected [[id, parent], members or None], got {value!r}")
        head, members = value
        task_id, value = (head, None) if isinstance(head, str) else head
        steps.append((task_id, members))
    for task_id, members in reversed(steps):
        parent = _made(task_id, members, parent, app)
    if parent is None:
        raise ValueError("a result as a tuple: expected [[id, parent], members or None], got None")
    return parent


def _made(task_id: str, members: Sequence[Any] | None, parent: Member | None, app: Umbel | None) -> Member:
    if members is None:
        return AsyncResult(task_id, app=app, parent=parent)
    results = [result_from_tuple(member, app) for member in members]
    for result in results:
        if result.parent is None:  # what comes before a group comes before each member
            result.parent = parent
    return GroupResult(task_id, results, app=app, parent=parent)
