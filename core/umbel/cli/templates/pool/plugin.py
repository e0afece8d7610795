"""The pool ``demo``: threads of the worker's process, to be replaced by your way to run functions."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from queue import SimpleQueue
from typing import Any, ClassVar

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Executor, Job, JobLedger, Pool, PoolCapabilities, PoolListener, PoolOptions

__all__ = ["DemoPool", "plugin_info", "umbel_pool"]

CAPABILITIES = PoolCapabilities()


class DemoPool(Pool):
    """Runs jobs in a fixed number of threads. The ledger sees to it that each job ends in one report."""

    capabilities: ClassVar[PoolCapabilities] = CAPABILITIES

    def __init__(self, options: PoolOptions) -> None:
        self._size = options.concurrency
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._ledger = JobLedger()
        self._is_started = False

    def start(self, executor: Executor, listener: PoolListener) -> None:
        if self._is_started or self._ledger.is_stopping:
            raise RuntimeError("expected a new pool, got one that was started or stopped before; make another one")
        self._is_started = True
        self._ledger.listener = listener
        for number in range(self._size):
            threading.Thread(target=self._work, args=(executor,), name=f"demo-{number}", daemon=True).start()

    def _work(self, executor: Executor) -> None:
        while (job := self._jobs.get()) is not None:
            if self._ledger.begin(job):
                try:
                    self._ledger.finished(job.id, executor.execute(job.payload))
                except BaseException as error:  # a crash; there is no process to die of it
                    self._ledger.lost(job.id, error)

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._ledger.accept(job)
            self._jobs.put(job)

    def room(self) -> int:
        return self._ledger.room(self._size) if self._is_started else 0

    def terminate(self, job_id: int, signal: str = "SIGTERM") -> bool:
        self._ledger.drop(job_id, signal)  # a job that runs goes on: a thread cannot be killed
        return False

    def resize(self, concurrency: int) -> None:
        raise NotImplementedError("the pool 'demo' keeps its size; declare 'resize' when yours can change")

    def stop(self, drain: bool, timeout_s: float | None) -> Sequence[int]:
        unstarted = self._ledger.stop(drain, timeout_s)
        for _ in range(self._size):
            self._jobs.put(None)
        return unstarted

    def describe(self) -> Mapping[str, Any]:
        return {"implementation": type(self).__qualname__, "max-concurrency": self._size, "processes": []}


plugin_info = PluginInfo(
    kind="pool", names=("demo",), summary="threads of the worker's process", capabilities=CAPABILITIES
)


@hookimpl
def umbel_pool(app: Any, options: PoolOptions) -> Pool:
    """Make a pool; it is started later."""
    return DemoPool(options)
