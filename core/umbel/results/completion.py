"""Results one by one, in the order in which they end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from umbel.results.sets import Member, ResultSet

if TYPE_CHECKING:
    from umbel.results.async_result import AsyncResult

__all__ = ["as_completed"]


def as_completed(results: Iterable[Member], timeout: float | None = None) -> Iterator[AsyncResult[Any]]:
    """Yield *results* (those of groups one by one) as they end, well or not, each once.

    *timeout* in seconds is for all of them: :class:`~umbel.exceptions.TimeoutError`. The wait is one for all, however
    many they are. In a coroutine use ``async for value in ResultSet(results)``.
    """
    return ResultSet(results).as_completed(timeout)
