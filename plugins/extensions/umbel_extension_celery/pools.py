"""Pools written for Celery, as Umbel asks for one, and the base class that they have."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from umbel.spi import Executor, Job, JobLedger, Pool, PoolCapabilities, PoolListener, PoolOptions

__all__ = ["BasePool", "ForeignPool", "apply_target"]


def apply_target(
    target: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    callback: Callable[[Any], Any] | None = None,
    accept_callback: Callable[..., Any] | None = None,
    pid: int | None = None,
    getpid: Callable[[], int] = os.getpid,
    propagate: Sequence[type[BaseException]] = (),
    monotonic: Callable[[], float] = time.monotonic,
    **_: Any,
) -> None:
    """Run *target* here and give what it returns to *callback*, as Celery's pools do."""
    if accept_callback is not None:
        accept_callback(pid or getpid(), monotonic())
    value = target(*args, **dict(kwargs or {}))
    if callback is not None:
        callback(value)


class BasePool:
    """What a custom pool subclasses: it writes ``on_start``, ``on_stop`` and ``on_apply``."""

    RUN = 0x1
    CLOSE = 0x2
    TERMINATE = 0x3
    signal_safe = True
    is_green = False
    uses_semaphore = False
    task_join_will_block = True
    body_can_be_buffer = False

    def __init__(
        self,
        limit: int | None = None,
        putlocks: bool = True,
        forking_enable: bool = True,
        app: Any = None,
        **options: Any,
    ) -> None:
        self.limit = limit
        self.putlocks = putlocks
        self.options = options
        self.app = app
        self._state: int | None = None

    def on_start(self) -> None:
        """Get ready; for subclasses."""

    def on_stop(self) -> None:
        """Finish what runs; for subclasses."""

    def on_terminate(self) -> None:
        """End at once; for subclasses."""

    def on_close(self) -> None:
        """Take no more; for subclasses."""

    def on_apply(self, target: Callable[..., Any], args: Sequence[Any] = (), kwargs: Any = None, **options: Any) -> Any:
        """Run *target* and call ``callback`` with what it returns; for subclasses (by itself: here and now)."""
        apply_target(target, args, kwargs, **options)

    def start(self) -> None:
        """Start."""
        self.on_start()
        self._state = self.RUN

    def stop(self) -> None:
        """Stop in good order."""
        self.on_stop()
        self._state = self.TERMINATE

    def terminate(self) -> None:
        """Stop at once."""
        self._state = self.TERMINATE
        self.on_terminate()

    def close(self) -> None:
        """Take no more."""
        self._state = self.CLOSE
        self.on_close()

    def apply_async(
        self, target: Callable[..., Any], args: Sequence[Any] = (), kwargs: Any = None, **options: Any
    ) -> Any:
        """Have *target* run."""
        return self.on_apply(target, args, dict(kwargs or {}), **options)

    def restart(self) -> None:
        """Restart; for subclasses that can."""
        raise NotImplementedError(f"{type(self).__name__} does not implement restart")

    def terminate_job(self, pid: int, signal: Any = None) -> None:
        """Kill one job; for subclasses that can."""
        raise NotImplementedError(f"{type(self).__name__} does not implement kill_job")

    def grow(self, n: int = 1) -> None:
        """Grow; for subclasses that can."""
        raise NotImplementedError(f"{type(self).__name__} does not implement grow")

    def shrink(self, n: int = 1) -> None:
        """Shrink; for subclasses that can."""
        raise NotImplementedError(f"{type(self).__name__} does not implement shrink")

    @property
    def active(self) -> bool:
        """Whether it runs."""
        return self._state == self.RUN

    @property
    def num_processes(self) -> int | None:
        """How many jobs it runs at once."""
        return self.limit

    @property
    def info(self) -> Mapping[str, Any]:
        """Figures for people."""
        return {"implementation": f"{type(self).__module__}:{type(self).__name__}", "max-concurrency": self.limit}


class ForeignPool(Pool):
    """Runs jobs in an object of *cls*, a class with the methods of :class:`BasePool`."""

    capabilities: ClassVar[PoolCapabilities] = PoolCapabilities(resize=True)

    def __init__(self, app: Any, cls: Any, options: PoolOptions) -> None:
        self._pool = cls(
            options.concurrency,
            app=app,
            maxtasksperchild=options.max_tasks_per_child,
            max_memory_per_child=options.max_memory_per_child_kib,
        )
        self._ledger = JobLedger()
        self._concurrency = options.concurrency
        self._execute: Callable[[bytes], bytes] | None = None
        self._lock = threading.Lock()

    def start(self, executor: Executor, listener: PoolListener) -> None:
        self._ledger.listener = listener
        self._execute = executor.execute
        self._pool.start()

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._ledger.accept(job)
            self._apply(job)

    def _apply(self, job: Job) -> None:
        def run(payload: bytes) -> None:
            if not self._ledger.begin(job):
                return
            try:
                outcome = self._execute(payload)  # type: ignore[misc]
            except BaseException as error:
                self._ledger.lost(job.id, error)
            else:
                self._ledger.finished(job.id, outcome)

        self._pool.apply_async(run, (job.payload,), {}, callback=None, accept_callback=None)

    def room(self) -> int:
        return self._ledger.room(self._concurrency)

    def terminate(self, job_id: int, signal: str = "SIGTERM") -> bool:
        self._ledger.drop(job_id, signal)
        return False

    def resize(self, concurrency: int) -> None:
        with self._lock:
            change = concurrency - self._concurrency
            if change:
                (self._pool.grow if change > 0 else self._pool.shrink)(abs(change))
            self._concurrency = concurrency

    def stop(self, drain: bool, timeout_s: float | None) -> Sequence[int]:
        unstarted = self._ledger.stop(drain, timeout_s)
        self._pool.close()
        (self._pool.stop if drain else self._pool.terminate)()
        return unstarted

    def describe(self) -> Mapping[str, Any]:
        return {**dict(self._pool.info), "max-concurrency": self._concurrency, **self._ledger.figures()}
