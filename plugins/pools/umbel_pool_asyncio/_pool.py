"""The asyncio pool: one thread with an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from umbel.exceptions import ImproperlyConfigured
from umbel.spi import Executor, Job, JobLedger, Pool, PoolCapabilities, PoolListener, PoolOptions, RunningJob
from umbel_pool_asyncio._threads import DaemonThreads

__all__ = ["AsyncioPool"]

#: How long stop() waits for cancelled coroutines to clean up.
_CANCEL_S = 1.0


class AsyncioPool(Pool):
    """Runs up to ``concurrency`` jobs at once: ``async def`` tasks on the loop, ``def`` tasks in threads.

    A coroutine task can be cancelled (``terminate``, a hard limit); a thread cannot. Since that is not true of all
    tasks, the pool declares neither.
    """

    capabilities: ClassVar[PoolCapabilities] = PoolCapabilities(runs_coroutines=True, resize=True)

    def __init__(self, options: PoolOptions) -> None:
        self._concurrency = _checked(options.concurrency)
        self._start_timeout_s = options.start_timeout_s
        self._ledger = JobLedger()
        self._jobs: deque[Job] = deque()
        self._threads = DaemonThreads()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._outcomes: list[tuple[int, bytes]] = []
        self._active = 0
        self._is_woken = False
        self._executor: Executor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._up = threading.Event()

    # -- any thread ---------------------------------------------------------------------------------------------------

    def start(self, executor: Executor, listener: PoolListener) -> None:
        if self._thread is not None or self._ledger.is_stopping:
            raise RuntimeError("expected a new pool, got one that was started or stopped before; make another one")
        self._executor = executor
        self._ledger.listener = listener
        self._thread = threading.Thread(target=self._run, name="umbel-pool", daemon=True)
        self._thread.start()
        if not self._up.wait(self._start_timeout_s):
            self.stop(drain=False, timeout_s=None)
            raise TimeoutError(f"expected an event loop within {self._start_timeout_s:g} s, got none")

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._ledger.accept(job)
        self._jobs.extend(jobs)
        self._wake()

    def room(self) -> int:
        return self._ledger.room(self._concurrency) if self._up.is_set() else 0

    def terminate(self, job_id: int, signal: str = "SIGTERM") -> bool:
        if self._ledger.drop(job_id, signal) or (task := self._tasks.get(job_id)) is None:
            return False
        self._call(lambda: self._end(job_id, task, lambda: self._ledger.terminated(job_id, signal)))
        return True

    def resize(self, concurrency: int) -> None:
        self._concurrency = _checked(concurrency)
        self._wake()

    def withdraw(self, job_ids: Sequence[int]) -> Sequence[int]:
        return self._ledger.withdraw(job_ids)

    def stop(self, drain: bool, timeout_s: float | None) -> Sequence[int]:
        unstarted = self._ledger.stop(drain, timeout_s)
        self._call(self._close)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_CANCEL_S)
        return unstarted

    def running(self) -> Sequence[RunningJob]:
        return self._ledger.running()

    def describe(self) -> Mapping[str, Any]:
        return {
            "implementation": f"{type(self).__module__.partition('.')[0]}:{type(self).__name__}",
            "max-concurrency": self._concurrency,
            **self._ledger.figures(),
        }

    def _wake(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            self._call(self._start_waiting)

    def _call(self, function: Any) -> None:
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(function)
            except RuntimeError:  # the loop is closed: nothing is left to be done
                return

    # -- the loop's thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._up.set()
        self._start_waiting()
        if not self._ledger.is_stopping:
            await self._over.wait()
        self._threads.close()
        # asyncio.run cancels what still runs, all of it given up by stop().

    def _close(self) -> None:
        if self._over is not None:
            self._over.set()

    def _start_waiting(self) -> None:
        self._is_woken = False
        executor = self._executor
        while executor is not None and self._jobs and self._active < self._concurrency:
            job = self._jobs.popleft()
            if not self._ledger.begin(job):
                continue
            self._active += 1
            try:
                on_loop = executor.is_coroutine(job.payload)
            except BaseException as error:
                self._ledger.lost(job.id, error)
                self._free()
                continue
            if on_loop:
                self._spawn(executor, job)
            else:
                self._threads.run(lambda job=job: self._execute(executor, job))  # type: ignore[misc]

    def _spawn(self, executor: Executor, job: Job) -> None:
        task = asyncio.get_running_loop().create_task(self._await(executor, job))
        self._tasks[job.id] = task
        if job.time_limit_s is not None:
            limit_s = job.time_limit_s
            timer = asyncio.get_running_loop().call_later(
                limit_s, lambda: self._end(job.id, task, lambda: self._ledger.timed_out(job.id, limit_s))
            )
            task.add_done_callback(lambda _: timer.cancel())

    async def _await(self, executor: Executor, job: Job) -> None:
        try:
            self._finished(job.id, await executor.execute_async(job.payload))
        except asyncio.CancelledError as error:
            self._ledger.lost(job.id, error) if self._ledger.is_running(job.id) else None
        except BaseException as error:  # a crash, but there is no process to die of it
            self._ledger.lost(job.id, error)
        finally:
            self._tasks.pop(job.id, None)
            self._free()

    def _finished(self, job_id: int, outcome: bytes) -> None:
        """Report an outcome in the next turn of the loop, with those of the other coroutines that end in this one."""
        if not self._outcomes:
            asyncio.get_running_loop().call_soon(self._report)
        self._outcomes.append((job_id, outcome))

    def _report(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        self._ledger.finished_together(outcomes)

    def _end(self, job_id: int, task: asyncio.Task[None], report: Any) -> None:
        if job_id in self._tasks and self._ledger.is_running(job_id):
            report()
            task.cancel()

    def _execute(self, executor: Executor, job: Job) -> None:
        try:
            self._ledger.finished(job.id, executor.execute(job.payload))
        except BaseException as error:  # a crash, but there is no process to die of it
            self._ledger.lost(job.id, error)
        self._call(self._free)

    def _free(self) -> None:
        self._active -= 1
        if self._jobs:
            self._start_waiting()


def _checked(concurrency: int) -> int:
    if concurrency < 1:
        raise ImproperlyConfigured(f"expected a concurrency of 1 or more, got {concurrency}")
    return concurrency
