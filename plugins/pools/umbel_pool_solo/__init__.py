"""One job at a time, in the worker's own process: for debugging, and the smallest pool there can be."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from queue import SimpleQueue
from typing import Any, ClassVar

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Executor, Job, JobLedger, Pool, PoolCapabilities, PoolListener, PoolOptions, RunningJob

__all__ = ["SoloPool", "plugin_info", "umbel_pool"]


class SoloPool(Pool):
    """Runs jobs one after the other in a thread of its own, so that the worker goes on meanwhile."""

    capabilities: ClassVar[PoolCapabilities] = PoolCapabilities(runs_coroutines=True)

    def __init__(self, options: PoolOptions) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._ledger = JobLedger()

    def start(self, executor: Executor, listener: PoolListener) -> None:
        if self._ledger.listener is not None or self._ledger.is_stopping:
            raise RuntimeError("expected a new pool, got one that was started or stopped before; make another one")
        self._ledger.listener = listener
        threading.Thread(target=self._work, args=(executor,), name="umbel-pool", daemon=True).start()

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._ledger.accept(job)
            self._jobs.put(job)

    def _work(self, executor: Executor) -> None:
        while (job := self._jobs.get()) is not None:
            if self._ledger.begin(job):
                try:
                    self._ledger.finished(job.id, executor.execute(job.payload))
                except BaseException as error:  # a crash, but there is no process to die of it
                    self._ledger.lost(job.id, error)

    def room(self) -> int:
        return self._ledger.room(1)

    def terminate(self, job_id: int, signal: str = "SIGTERM") -> bool:
        self._ledger.drop(job_id, signal)
        return False

    def resize(self, concurrency: int) -> None:
        if concurrency != 1:
            raise ValueError(f"expected a concurrency of 1, the only one of the solo pool, got {concurrency}")

    def withdraw(self, job_ids: Sequence[int]) -> Sequence[int]:
        return self._ledger.withdraw(job_ids)

    def stop(self, drain: bool, timeout_s: float | None) -> Sequence[int]:
        unstarted = self._ledger.stop(drain, timeout_s)
        self._jobs.put(None)
        return unstarted

    def running(self) -> Sequence[RunningJob]:
        return self._ledger.running()

    def describe(self) -> Mapping[str, Any]:
        return {
            "implementation": f"{type(self).__module__.partition('.')[0]}:{type(self).__name__}",
            "max-concurrency": 1,
            **self._ledger.figures(),
        }


plugin_info = PluginInfo(
    kind="pool",
    names=("solo",),
    summary="one job at a time in the worker's own process; for debugging",
    capabilities=SoloPool.capabilities,
)


@hookimpl
def umbel_pool(app: Any, options: PoolOptions) -> Pool:
    """Make the pool; it always runs one job at a time."""
    return SoloPool(options)
