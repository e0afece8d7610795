"""The result of a call that ran at once, in the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from umbel.exceptions import TaskRevokedError
from umbel.protocol.results import ResultDocument
from umbel.results.async_result import AsyncResult
from umbel.states import REVOKED

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["EagerResult"]

R = TypeVar("R")


class EagerResult(AsyncResult[R]):
    """An :class:`AsyncResult` that is final from the start, and asks no store (A543, B550)."""

    __slots__ = ()

    def __init__(
        self,
        id: str,
        value: Any = None,
        state: str = "SUCCESS",
        traceback: str | None = None,
        name: str | None = None,
        app: Umbel | None = None,
        children: list[Any] | None = None,
    ) -> None:
        super().__init__(id, app=app)
        self._document = ResultDocument(
            task_id=id, status=state, result=value, traceback=traceback, name=name, children=children or []
        )

    def forget_own(self) -> None:
        """Do nothing: nothing is stored."""

    def forget(self) -> None:
        """Do nothing: nothing is stored."""

    def revoke(self, *args: Any, **kwargs: Any) -> None:
        """Have this result say REVOKED: there is nothing left to call off."""
        self._document = ResultDocument(
            task_id=self.id, status=REVOKED, result=TaskRevokedError("revoked"), name=self.name, children=[]
        )

    def __reduce__(self) -> tuple[Any, ...]:
        document = self._document
        if document is None:
            raise TypeError("an EagerResult has its value from the start")
        return type(self), (self.id, document.result, document.status, document.traceback, document.name)
