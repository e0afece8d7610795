"""What Celery's users test results and states with."""

from __future__ import annotations

from abc import ABC
from typing import Any

from umbel.results import AsyncResult, GroupResult, ResultSet
from umbel.results.eager_result import EagerResult
from umbel.states import precedence

__all__ = ["ResultBase", "state"]


class ResultBase(ABC):  # noqa: B024 - only what is registered counts
    """What every result is an instance of."""


for _cls in (AsyncResult, EagerResult, GroupResult, ResultSet):
    ResultBase.register(_cls)


class state(str):  # noqa: SLOT000 - Celery's name
    """The name of a state that compares by its rank: ``state("SUCCESS") > state("PENDING")``."""

    def __gt__(self, other: Any) -> bool:
        return precedence(self) < precedence(other)

    def __ge__(self, other: Any) -> bool:
        return precedence(self) <= precedence(other)

    def __lt__(self, other: Any) -> bool:
        return precedence(self) > precedence(other)

    def __le__(self, other: Any) -> bool:
        return precedence(self) >= precedence(other)
