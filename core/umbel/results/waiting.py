"""Waiting for results: one caller for one result, and any number of coroutines and callbacks over few threads."""

from __future__ import annotations

import builtins
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from umbel.exceptions import BackendError, TimeoutError

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.results.async_result import AsyncResult

__all__ = ["ResultWaiter", "wait_blocking", "wait_in_loop"]

#: How long one wait on the store lasts; between two an interrupt gets through on every platform.
_SLICE_S: Final = 10.0
#: Threads of one waiter. The last one takes whatever comes while the others are blocked, so it looks up often.
_THREADS: Final = 4
_COLLECTOR_SLICE_S: Final = 0.02
_THREAD_SLICE_S: Final = 2.0


def _check_store(result: AsyncResult[Any]) -> None:
    if not result.backend.capabilities.stores:
        raise BackendError(
            f"result {result.id}: no result backend is configured, so its state is never known; set result_backend "
            f"(Umbel(..., backend='sqlite://'))"
        )


def _timed_out(result: AsyncResult[Any], timeout_s: float) -> TimeoutError:
    return TimeoutError(f"result {result.id}: no final state after {timeout_s:g} s")


def wait_blocking(
    result: AsyncResult[Any],
    ancestors: Sequence[AsyncResult[Any]] = (),
    timeout_s: float | None = None,
    interval_s: float = 0.5,
    on_message: Callable[[dict[str, Any]], Any] | None = None,
    on_interval: Callable[[], Any] | None = None,
) -> None:
    """Block until *result* is final, or raise what made one of its *ancestors* fail.

    A step that fails stores the failure of those behind it, so that one result is all that is waited for, however long
    the chain. A worker that died at the wrong moment may not have come to it: the ancestors are looked at now and then.
    """
    _check_store(result)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    slice_s = _SLICE_S if on_message is None and on_interval is None else interval_s
    seen: tuple[Any, ...] = ()
    while True:
        left = slice_s if deadline is None else min(slice_s, deadline - time.monotonic())
        for meta in result.backend.wait([result.id], max(0.0, left)):
            result.accept(result.app.results.decode(meta))
        if on_message is not None:
            seen = _report(result, on_message, seen)
        if result.is_settled:
            return
        if on_interval is not None:
            on_interval()
        _check_ancestors(ancestors)
        if deadline is not None and time.monotonic() >= deadline:
            raise _timed_out(result, timeout_s or 0.0)


def _check_ancestors(ancestors: Sequence[AsyncResult[Any]]) -> None:
    """Raise the failure of the nearest of *ancestors* that has one."""
    pending = [node for node in ancestors if not node.is_settled]
    if pending:
        for node, meta in zip(pending, pending[0].backend.load([node.id for node in pending]), strict=True):
            if meta is not None and meta.is_final:
                node.accept(node.app.results.decode(meta))
    for node in ancestors:
        if node.is_settled:
            node.maybe_throw()


def _report(
    result: AsyncResult[Any], on_message: Callable[[dict[str, Any]], Any], seen: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Call *on_message* when the state or its metadata differ from *seen*; return what is seen now."""
    now = (result.state, result.result)
    if now != seen and now[0] != "PENDING":
        on_message(
            {
                "task_id": result.id,
                "status": now[0],
                "result": now[1],
                "traceback": result.traceback,
                "children": result.children,
            }
        )
    return now


async def wait_in_loop(result: AsyncResult[Any], timeout_s: float | None = None) -> None:
    """Like :func:`wait_blocking`, without blocking the event loop."""
    import asyncio  # stdlib; a program without coroutines should not pay for it

    _check_store(result)
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def ended(node: AsyncResult[Any], error: BaseException | None) -> None:
        def settle() -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(None)

        loop.call_soon_threadsafe(settle)

    waiter = result.app.results.waiter
    waiter.watch(result, ended)
    try:
        await asyncio.wait_for(future, timeout_s)
    except builtins.TimeoutError:
        if future.done() and not future.cancelled():  # the exception is the task's own
            raise
        raise _timed_out(result, timeout_s or 0.0) from None
    finally:
        waiter.unwatch(result.id)


_Ended = Callable[["AsyncResult[Any]", "BaseException | None"], None]


class ResultWaiter:
    """Waits for any number of results over at most four threads, which end when there is nothing to wait for.

    Thread-safe. Callbacks run in those threads, one at a time in each, and must be quick.
    """

    def __init__(self, app: Umbel) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._fresh: dict[str, list[tuple[AsyncResult[Any], _Ended]]] = {}
        self._unwanted: set[str] = set()
        self._threads = 0

    def watch(self, result: AsyncResult[Any], ended: _Ended) -> None:
        """Call *ended* with *result* and ``None`` when it is final, or with what went wrong in asking."""
        with self._lock:
            self._fresh.setdefault(result.id, []).append((result, ended))
            self._unwanted.discard(result.id)
            starts = self._threads < _THREADS
            if starts:
                self._threads += 1
            collects = self._threads == _THREADS
        if starts:
            threading.Thread(target=self._run, args=(collects,), name="umbel-results", daemon=True).start()

    def unwatch(self, task_id: str) -> None:
        """Stop waiting for a result that nobody wants any more."""
        with self._lock:
            if self._fresh.pop(task_id, None) is None and self._threads:
                self._unwanted.add(task_id)

    def _take(self, mine: dict[str, list[tuple[AsyncResult[Any], _Ended]]]) -> bool:
        """Add what is new to *mine*; false when this thread has nothing to wait for and ends."""
        with self._lock:
            for task_id, watchers in self._fresh.items():
                mine.setdefault(task_id, []).extend(watchers)
            self._fresh.clear()
            for task_id in self._unwanted & mine.keys():
                del mine[task_id]
                self._unwanted.discard(task_id)
            if not mine:
                self._threads -= 1
                if not self._threads:
                    self._unwanted.clear()
            return bool(mine)

    def _run(self, collects: bool) -> None:
        mine: dict[str, list[tuple[AsyncResult[Any], _Ended]]] = {}
        slice_s = _COLLECTOR_SLICE_S if collects else _THREAD_SLICE_S
        while self._take(mine):
            try:
                backend = next(iter(mine.values()))[0][0].backend
                metas = backend.wait(list(mine), slice_s)
            except Exception as error:  # handed to whoever waits
                for watchers in mine.values():
                    for result, ended in watchers:
                        ended(result, error)
                mine.clear()
                continue
            for meta in metas:
                for result, ended in mine.pop(meta.task_id, ()):
                    self._end(result, meta, ended)

    def _end(self, result: AsyncResult[Any], meta: Any, ended: _Ended) -> None:
        try:
            result.accept(self._app.results.decode(meta))
        except Exception as error:  # an unreadable result is an answer too
            ended(result, error)
        else:
            ended(result, None)
