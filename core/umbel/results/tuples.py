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
    if isinstance(value, AsyncResult | ResultSet):
        return value
    if isinstance(value, str):
        return AsyncResult(value, app=app)
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError(f"a result as a tuple: expected [[id, parent], members or None], got {value!r}")
    head, members = value
    task_id, parent_tuple = (head, None) if isinstance(head, str) else head
    parent = None if parent_tuple is None else result_from_tuple(parent_tuple, app)
    if members is None:
        return AsyncResult(task_id, app=app, parent=parent)
    return GroupResult(task_id, [result_from_tuple(member, app) for member in members], app=app, parent=parent)
