"""Jobs in threads of the worker's process: for tasks that wait more than they compute."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from queue import SimpleQueue
from typing import Any, ClassVar

from umbel.exceptions import ImproperlyConfigured
from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Executor, Job, JobLedger, Pool, PoolCapabilities, PoolListener, PoolOptions, RunningJob

__all__ = ["ThreadsPool", "plugin_info", "umbel_pool"]


class ThreadsPool(Pool):
    """Runs jobs in threads that share one queue, so no job waits behind another while a thread is free."""

    capabilities: ClassVar[PoolCapabilities] = PoolCapabilities(runs_coroutines=True, resize=True)

    def __init__(self, options: PoolOptions) -> None:
        self._concurrency = _checked(options.concurrency)
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()  # None wakes a thread that may have to leave
        self._ledger = JobLedger()
        self._executor: Executor | None = None
        # Reentrant: stop() may come from a signal handler in the middle of start() or resize().
        self._lock = threading.RLock()
        self._threads = 0

    def start(self, executor: Executor, listener: PoolListener) -> None:
        with self._lock:
            if self._executor is not None or self._ledger.is_stopping:
                raise RuntimeError("expected a new pool, got one that was started or stopped before; make another one")
            self._executor = executor
            self._ledger.listener = listener
            self._follow_concurrency()

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._ledger.accept(job)
            self._jobs.put(job)

    def _follow_concurrency(self) -> None:
        wanted = 0 if self._ledger.is_stopping else self._concurrency
        while self._executor is not None and self._threads < wanted:
            self._threads += 1
            name = f"umbel-pool-{self._threads}"
            threading.Thread(target=self._work, args=(self._executor,), name=name, daemon=True).start()
        for _ in range(self._threads - wanted):
            self._jobs.put(None)

    def _work(self, executor: Executor) -> None:
        while not self._must_leave():
            job = self._jobs.get()
            if job is not None and self._ledger.begin(job):
                try:
                    self._ledger.finished(job.id, executor.execute(job.payload))
                except BaseException as error:  # a crash, but there is no process to die of it
                    self._ledger.lost(job.id, error)

    def _must_leave(self) -> bool:
        if self._threads <= self._concurrency and not self._ledger.is_stopping:
            return False
        with self._lock:
            if self._threads <= self._concurrency and not self._ledger.is_stopping:
                return False
            self._threads -= 1
            return True

    def room(self) -> int:
        return self._ledger.room(self._concurrency) if self._executor is not None else 0

    def terminate(self, job_id: int, signal: str = "SIGTERM") -> bool:
        self._ledger.drop(job_id, signal)  # a thread cannot be killed
        return False

    def resize(self, concurrency: int) -> None:
        with self._lock:
            self._concurrency = _checked(concurrency)
            self._follow_concurrency()

    def withdraw(self, job_ids: Sequence[int]) -> Sequence[int]:
        return self._ledger.withdraw(job_ids)

    def stop(self, drain: bool, timeout_s: float | None) -> Sequence[int]:
        unstarted = self._ledger.stop(drain, timeout_s)
        with self._lock:
            self._follow_concurrency()
        return unstarted

    def running(self) -> Sequence[RunningJob]:
        return self._ledger.running()

    def describe(self) -> Mapping[str, Any]:
        return {
            "implementation": f"{type(self).__module__.partition('.')[0]}:{type(self).__name__}",
            "max-concurrency": self._concurrency,
            "threads": self._threads,
            **self._ledger.figures(),
        }


def _checked(concurrency: int) -> int:
    if concurrency < 1:
        raise ImproperlyConfigured(f"expected a concurrency of 1 or more, got {concurrency}")
    return concurrency


plugin_info = PluginInfo(
    kind="pool",
    names=("threads",),
    summary="threads of the worker's process; for tasks that wait more than they compute",
    capabilities=ThreadsPool.capabilities,
)


@hookimpl
def umbel_pool(app: Any, options: PoolOptions) -> Pool:
    """Make the pool that *options* describe."""
    return ThreadsPool(options)
