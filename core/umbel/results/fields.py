"""What a stored result says beside its state and value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.protocol.results import ResultDocument
    from umbel.results.sets import Member

__all__ = ["ResultFields"]


class ResultFields:
    """The fields of a result's document, each read when it is asked for; ``None`` while nothing is known."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def app(self) -> Umbel: ...

        def _field(self, name: str) -> Any: ...

        def _load(self) -> ResultDocument | None: ...

    def exists(self) -> bool:
        """Whether the store knows anything of it: a task that waits in its queue is as unknown as one never sent."""
        return self._load() is not None

    @property
    def supports_native_join(self) -> bool:
        """True: every store loads many results in one request."""
        return True

    @property
    def traceback(self) -> str | None:
        """The traceback of a failure as text."""
        return cast("str | None", self._field("traceback"))

    @property
    def children(self) -> list[Member] | None:
        """The results of the calls that the task made; ``None`` when nothing is known yet."""
        found: Sequence[Any] | None = self._field("children")
        return None if found is None else [self.app.result_from_tuple(child) for child in found]

    @property
    def date_done(self) -> dt.datetime | None:
        """When the task ended, in UTC."""
        return cast("dt.datetime | None", self._field("date_done"))

    @property
    def name(self) -> str | None:
        """The task's name, with ``result_extended``."""
        return cast("str | None", self._field("name"))

    @property
    def args(self) -> Any:
        """The positional arguments, with ``result_extended``."""
        return self._field("args")

    @property
    def kwargs(self) -> Any:
        """The keyword arguments, with ``result_extended``."""
        return self._field("kwargs")

    @property
    def worker(self) -> str | None:
        """The worker that ran it, with ``result_extended``."""
        return cast("str | None", self._field("worker"))

    @property
    def retries(self) -> int | None:
        """How often it was retried, with ``result_extended``."""
        return cast("int | None", self._field("retries"))

    @property
    def queue(self) -> str | None:
        """The routing key it came by, with ``result_extended``."""
        return cast("str | None", self._field("queue"))
