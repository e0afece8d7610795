"""Running the calls of a batch task together, and giving each its own end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from umbel.context import Context
from umbel.contrib.batches import SimpleRequest, ends_of
from umbel.worker.plans import TaskPlan
from umbel.worker.trace import Tracer, is_cancelled

__all__ = ["BatchRun"]


class BatchRun:
    """One run of a batch task. *refused* are the outcomes of calls whose message is no request, by their number."""

    def __init__(
        self,
        tracer: Tracer,
        plan: TaskPlan,
        requests: Sequence[tuple[int, Context, int]],
        refused: dict[int, bytes],
    ) -> None:
        self._tracer = tracer
        self._plan = plan
        self._requests = list(requests)
        self._outcomes = dict(refused)
        self._began = time.monotonic()

    def run(self, call: Callable[[list[SimpleRequest]], Any]) -> list[bytes]:
        """Run with *call*; return the outcome of each call, in their order."""
        batch = self._prepare()
        if batch:
            token = self._enter()
            try:
                value = call(batch)
            except BaseException as error:
                self._all_raised(error)
            else:
                self._all_ended(batch, value)
            finally:
                self._plan.task.pop_request(token)
        return self._in_order()

    async def run_async(self, call: Callable[[list[SimpleRequest]], Any]) -> list[bytes]:
        """The same for a coroutine function, on the running loop."""
        batch = self._prepare()
        if batch:
            token = self._enter()
            try:
                value = await call(batch)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and is_cancelled():
                    raise  # by the pool, which has told the worker what becomes of the calls
                self._all_raised(error)
            else:
                self._all_ended(batch, value)
            finally:
                self._plan.task.pop_request(token)
        return self._in_order()

    def _prepare(self) -> list[SimpleRequest]:
        """Do what comes before the function, for each call; return those that are to be run."""
        ready = []
        for number, request, flags in self._requests:
            try:
                self._tracer.begin(self._plan, request)
            except BaseException as error:
                self._outcomes[number] = self._tracer.ended(self._plan, request, False, error, 0.0, flags)
            else:
                ready.append((number, request, flags))
        self._requests = ready
        return [SimpleRequest.of(request) for _, request, _ in ready]

    def _enter(self) -> Any:
        """Make the batch the running call. It is of no one: retry() raises what went wrong, what it calls has no parent."""
        hostname = self._requests[0][1].hostname
        return self._plan.task.push_request(Context(task=self._plan.name, hostname=hostname, entered=self._plan.enters))

    def _all_raised(self, error: BaseException) -> None:
        plan = self._plan
        runtime_s = time.monotonic() - self._began
        for number, request, flags in self._requests:
            self._outcomes[number] = self._tracer.ended(plan, request, False, error, runtime_s, flags)

    def _all_ended(self, batch: Sequence[SimpleRequest], value: Any) -> None:
        plan = self._plan
        runtime_s = time.monotonic() - self._began
        ends = zip(self._requests, ends_of(batch, value), strict=True)
        for (number, request, flags), (succeeded, result) in ends:
            self._outcomes[number] = self._tracer.ended(plan, request, succeeded, result, runtime_s, flags)

    def _in_order(self) -> list[bytes]:
        return [self._outcomes[number] for number in sorted(self._outcomes)]
