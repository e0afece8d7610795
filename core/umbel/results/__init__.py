"""What a caller holds of a call: its result, now or later."""

from __future__ import annotations

from umbel.results.async_result import AsyncResult
from umbel.results.completion import as_completed
from umbel.results.group_result import GroupResult
from umbel.results.joining import allow_join_result, denied_join_result
from umbel.results.sets import ResultSet
from umbel.results.tuples import result_from_tuple

__all__ = [
    "AsyncResult",
    "GroupResult",
    "ResultSet",
    "allow_join_result",
    "as_completed",
    "denied_join_result",
    "result_from_tuple",
]
