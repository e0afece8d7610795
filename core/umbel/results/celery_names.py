"""What a set of results has because Celery's has it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from umbel.results.async_result import AsyncResult

__all__ = ["CeleryNames"]


class CeleryNames:
    """The part of a set of results that is asked for by Celery's names."""

    if TYPE_CHECKING:
        join: Callable[..., list[Any]]

        def leaves(self) -> list[AsyncResult[Any]]: ...

        def successful(self) -> bool: ...

        def _as_they_end(
            self, timeout: float | None, propagate: bool, interval: float, on_interval: Callable[[], Any] | None
        ) -> Iterator[tuple[AsyncResult[Any], Any]]: ...

    @property
    def supports_native_join(self) -> bool:
        """True: every store loads many results in one request."""
        return True

    def join_native(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callable[[str, Any], Any] | None = None,
        no_ack: bool = True,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        on_interval: Callable[[], Any] | None = None,
        disable_sync_subtasks: bool = True,
    ) -> list[Any]:
        """The same as :meth:`join`, which asks every store for many results at once."""
        return self.join(timeout, propagate, interval, callback, no_ack, on_message, disable_sync_subtasks, on_interval)

    def iter_native(
        self,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        on_interval: Callable[[], Any] | None = None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (id, ``{"status", "result"}``) as the members end."""
        for result, value in self._as_they_end(timeout, False, interval, on_interval):
            yield result.id, {"status": result.state, "result": value, "task_id": result.id}

    def then(
        self,
        callback: Callable[[Self], Any],
        on_error: Callable[[Self], Any] | None = None,
        weak: bool = False,
    ) -> Self:
        """Call *callback* with this set when all members have succeeded, *on_error* when all have ended and one has not.

        Called in a thread of the application, or in this one where nothing is waited for. *weak* is ignored.
        """
        leaves = {leaf.id: leaf for leaf in self.leaves()}
        left = set(leaves)
        lock = threading.Lock()

        def ended(result: AsyncResult[Any]) -> None:
            with lock:
                left.discard(result.id)
                is_last = not left
            if is_last:
                chosen = callback if self.successful() else on_error
                if chosen is not None:
                    chosen(self)

        for leaf in leaves.values():
            leaf.then(ended, ended)
        if not leaves:
            callback(self)
        return self
