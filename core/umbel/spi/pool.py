"""The contract of an execution pool: where the functions run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import attrs

__all__ = ["Executor", "Job", "Pool", "PoolCapabilities", "PoolListener", "PoolOptions", "RunningJob"]


@attrs.frozen(kw_only=True)
class PoolCapabilities:
    """What a pool can do. A task or worker option that asks for what its pool cannot do is refused at start."""

    hard_time_limit: bool = False
    soft_time_limit: bool = False
    terminate: bool = False
    isolates_crashes: bool = False
    runs_coroutines: bool = False
    max_tasks_per_child: bool = False
    max_memory_per_child: bool = False
    resize: bool = False


@attrs.frozen(kw_only=True)
class PoolOptions:
    """How a pool is to be set up; what it cannot honour has been refused before. Times in seconds, memory in KiB."""

    concurrency: int
    max_tasks_per_child: int | None = None
    max_memory_per_child_kib: int | None = None
    start_timeout_s: float = 10.0
    lost_wait_s: float = 10.0
    extra: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.define(eq=False)
class Job:
    """One call to run. *id* is the worker's, unique in this process; *payload* is opaque; *name* the task's name."""

    id: int
    payload: bytes
    name: str = ""
    time_limit_s: float | None = None
    soft_time_limit_s: float | None = None


class RunningJob(NamedTuple):
    """A job that runs now: since when (Unix seconds), and in which process."""

    job_id: int
    started_at: float
    pid: int


class Executor(Protocol):
    """What a pool runs: made by the worker, given to ``Pool.start``; picklable or inherited by fork.

    ``execute`` never raises an ``Exception``: it turns every outcome of the task into bytes. ``SystemExit`` and
    ``KeyboardInterrupt`` raised by a task are outcomes too. What gets through is a crash.
    """

    def enter_process(self) -> None:
        """Called once in each new pool process, before its first job (not called by pools that live in the worker)."""

    def leave_process(self) -> None:
        """Called once in each pool process before an orderly exit."""

    def execute(self, payload: bytes) -> bytes:
        """Run one job to its end in the calling thread and return its encoded outcome."""
        ...

    async def execute_async(self, payload: bytes) -> bytes:
        """Run one job whose task is a coroutine function on the running event loop."""
        ...

    def is_coroutine(self, payload: bytes) -> bool:
        """Say whether *payload* calls an ``async def`` task."""
        ...


class PoolListener(Protocol):
    """What a pool reports to. Called from the pool's own threads; every method returns quickly and never raises."""

    def finished(self, outcomes: Sequence[tuple[int, bytes]]) -> None:
        """These jobs ended: (job id, encoded outcome) each. Each job ends in exactly one report of any kind."""

    def lost(self, job_id: int, reason: str) -> None:
        """The process that ran this job is gone (crash, kill, ``os._exit``); *reason* says how, for people."""

    def timed_out(self, job_id: int, limit_s: float) -> None:
        """The job ran over its hard limit; its process was killed."""

    def soft_timed_out(self, job_id: int, limit_s: float) -> None:
        """The job ran over its soft limit and was told so; its end is still to come."""

    def terminated(self, job_id: int, signal: str) -> None:
        """The job was killed because :meth:`Pool.terminate` asked for it."""

    def room_changed(self) -> None:
        """There may be more room than before."""

    def failed(self, reason: str) -> None:
        """The pool cannot go on (its processes die at start again and again): the worker stops with *reason*."""


class Pool(ABC):
    """Runs jobs, several at a time. The worker's threads call it; each method is thread-safe and returns quickly."""

    capabilities: ClassVar[PoolCapabilities] = PoolCapabilities()

    @abstractmethod
    def start(self, executor: Executor, listener: PoolListener) -> None:
        """Get ready to run; on return :meth:`submit` works. Raises when the pool cannot come up in time."""

    @abstractmethod
    def submit(self, jobs: Sequence[Job]) -> None:
        """Take *jobs*; they start in this order, as workers become free. Never blocks, never refuses."""

    @abstractmethod
    def room(self) -> int:
        """Say how many more jobs could start soon: free workers, and a few milliseconds of expected work for busy ones."""

    @abstractmethod
    def terminate(self, job_id: int, signal: str = "SIGTERM") -> bool:
        """Kill the process that runs the job; say whether it was running here. A job not yet started is dropped."""

    @abstractmethod
    def resize(self, concurrency: int) -> None:
        """Grow or shrink to *concurrency*; a worker that is busy leaves when its job is done."""

    @abstractmethod
    def stop(self, drain: bool, timeout_s: float | None) -> Sequence[int]:
        """Stop; return the ids of jobs that never started or were cut off.

        With *drain*, running jobs are finished within *timeout_s* (``None``: however long it takes); without, they are
        killed where the pool can. Jobs not started are never started. From any state, also a half-started one; the
        second call (from another thread, without *drain*) cuts the first one short.
        """

    @abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """Return figures for people: ``implementation``, ``max-concurrency``, ``processes`` (pids), and its own."""

    def withdraw(self, job_ids: Sequence[int]) -> Sequence[int]:
        """Take back those of *job_ids* that have not started, and return them: they are reported no more.

        What has started goes on. A pool that cannot do this returns nothing.
        """
        return ()

    def running(self) -> Sequence[RunningJob]:
        """Return what runs now, for events and inspection; nothing where the pool cannot tell.

        A job that has just ended may still be among them, one that has just begun may be missing.
        """
        return ()
