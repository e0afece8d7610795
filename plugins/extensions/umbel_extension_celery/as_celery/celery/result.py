"""Results."""

from __future__ import annotations

from umbel.canvas import TaskSetResult
from umbel.results import (
    AsyncResult,
    GroupResult,
    ResultSet,
    allow_join_result,
    denied_join_result,
    result_from_tuple,
)
from umbel.results.eager_result import EagerResult
from umbel.results.joining import assert_may_wait as assert_will_not_block
from umbel_extension_celery.result_types import ResultBase

__all__ = [
    "AsyncResult",
    "EagerResult",
    "GroupResult",
    "ResultBase",
    "ResultSet",
    "TaskSetResult",
    "allow_join_result",
    "assert_will_not_block",
    "denied_join_result",
    "result_from_tuple",
]
