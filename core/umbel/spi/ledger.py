"""A part for pools that live in the worker's process: it knows which jobs wait and run, so that each ends once."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from umbel.spi.pool import Job, PoolListener, RunningJob

__all__ = ["JobLedger"]

_log = logging.getLogger("umbel.pool")

_QUICK_NS = 5_000_000
_AHEAD_NS = 20_000_000
_MAX_AHEAD = 1000
# A signal that comes in the instant before a thread blocks has its handler run when the thread wakes: see to it that it
# does.
_LOOK_S = 0.25


class JobLedger:
    """Tells the listener of each job's end exactly once, and does the waiting of ``Pool.stop``.

    A job belongs to whoever takes it out of a dict, so reports and :meth:`stop` never both have it. Every method may
    be called from any thread; :meth:`stop` also from a signal handler that interrupts another call of it. A listener
    that raises is logged and tolerated.
    """

    def __init__(self) -> None:
        self.listener: PoolListener | None = None
        self.is_stopping = False
        self._waiting: dict[int, Job] = {}
        self._running: dict[int, int] = {}  # id -> start, monotonic ns
        self._reporting: dict[int, None] = {}
        self._unstarted: dict[int, None] = {}
        self._is_cut = False
        self._bells: list[SimpleQueue[None]] = []
        self._cutting = threading.RLock()
        self._mean_ns: float | None = None

    # -- the way of a job ---------------------------------------------------------------------------------------------

    def accept(self, job: Job) -> None:
        """Write down a submitted job."""
        self._waiting[job.id] = job

    def begin(self, job: Job) -> bool:
        """Claim *job* for running; ``False`` when it was dropped, or the pool stops."""
        self._running[job.id] = time.monotonic_ns()
        if self.is_stopping or self._waiting.pop(job.id, None) is None:
            self._running.pop(job.id, None)
            self._ring_when_idle()
            return False
        return True

    def is_running(self, job_id: int) -> bool:
        """Say whether *job_id* began and has not ended."""
        return job_id in self._running

    def finished(self, job_id: int, outcome: bytes) -> None:
        """Report a job's outcome."""
        self.finished_together([(job_id, outcome)])

    def finished_together(self, outcomes: Sequence[tuple[int, bytes]]) -> None:
        """Report the outcomes of jobs that ended at about the same time, (id, outcome) each, in one go."""
        now_ns, mean_ns = time.monotonic_ns(), self._mean_ns
        ended = []
        for entry in outcomes:
            self._reporting[entry[0]] = None
            started_ns = self._running.pop(entry[0], None)
            if started_ns is not None:
                elapsed_ns = now_ns - started_ns
                mean_ns = elapsed_ns if mean_ns is None else mean_ns + (elapsed_ns - mean_ns) * 0.2
                ended.append(entry)
        self._mean_ns = mean_ns
        if ended:
            self._say("a report", lambda listener: listener.finished(ended))
        for job_id, _ in outcomes:
            self._reporting.pop(job_id, None)
        self._say("room_changed", _room_changed)
        self._ring_when_idle()

    def lost(self, job_id: int, error: BaseException) -> None:
        """Report a job whose executor let *error* through: the nearest thing to a crash in one's own process."""
        reason = f"the executor raised {type(error).__name__}: {error}"
        _log.error("job %d: %s", job_id, reason, exc_info=error)
        self._end(job_id, lambda listener: listener.lost(job_id, reason))

    def timed_out(self, job_id: int, limit_s: float) -> None:
        """Report a running job that was ended because of its hard limit."""
        self._end(job_id, lambda listener: listener.timed_out(job_id, limit_s))

    def terminated(self, job_id: int, signal: str) -> None:
        """Report a running job that was ended on demand."""
        self._end(job_id, lambda listener: listener.terminated(job_id, signal))

    def withdraw(self, job_ids: Sequence[int]) -> Sequence[int]:
        """Do what ``Pool.withdraw`` asks."""
        return [job_id for job_id in job_ids if self._waiting.pop(job_id, None) is not None]

    def drop(self, job_id: int, signal: str) -> bool:
        """Drop a job that has not begun and report it as terminated; say whether it was here."""
        if self._waiting.pop(job_id, None) is None:
            return False
        self._say("terminated", lambda listener: listener.terminated(job_id, signal))
        return True

    def _end(self, job_id: int, report: Callable[[PoolListener], None]) -> None:
        self._reporting[job_id] = None
        if self._running.pop(job_id, None) is not None:
            self._say("a report", report)
        self._reporting.pop(job_id, None)
        self._say("room_changed", _room_changed)
        self._ring_when_idle()

    def _say(self, what: str, report: Callable[[PoolListener], None]) -> None:
        if self.listener is None:
            return
        try:
            report(self.listener)
        except Exception:  # the listener's fault must not stop the pool
            _log.exception("the pool's listener raised in %s; expected it to take every report", what)

    # -- figures ------------------------------------------------------------------------------------------------------

    def room(self, concurrency: int) -> int:
        """Return ``Pool.room`` for *concurrency* workers that share one queue."""
        now_ns = time.monotonic_ns()
        running = list(self._running.values())
        room = concurrency - len(running)
        mean_ns = self._mean_ns
        if mean_ns is not None and mean_ns < _QUICK_NS:
            moving = concurrency - sum(1 for started_ns in running if now_ns - started_ns > _QUICK_NS)
            room = max(room, min(int(moving * _AHEAD_NS / max(mean_ns, 1.0)), _MAX_AHEAD))
        return max(0, room - len(self._waiting))

    def running(self) -> Sequence[RunningJob]:
        """Return what ``Pool.running`` answers."""
        now, now_ns, pid = time.time(), time.monotonic_ns(), os.getpid()
        running = list(self._running.items())
        return [RunningJob(job_id, now - (now_ns - began_ns) / 1e9, pid) for job_id, began_ns in running]

    def figures(self) -> dict[str, Any]:
        """Return what ``Pool.describe`` says about jobs."""
        return {"running": len(self._running), "waiting": len(self._waiting)}

    # -- stopping -----------------------------------------------------------------------------------------------------

    def stop(self, drain: bool, timeout_s: float | None) -> Sequence[int]:
        """Do the waiting of ``Pool.stop`` and return its answer; each call returns all ids there are by then.

        Jobs that still run are given up, not ended: that is for the pool to do where it can.
        """
        bell: SimpleQueue[None] = SimpleQueue()
        self._bells.append(bell)
        self.is_stopping = True
        if not drain:
            self._is_cut = True
        self._ring(when=self._is_cut)
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._is_cut and not self._is_idle():
            left_s = _LOOK_S if deadline is None else min(_LOOK_S, deadline - time.monotonic())
            if left_s <= 0:
                break
            with contextlib.suppress(Empty):
                bell.get(timeout=left_s)
        with self._cutting:
            for jobs in (self._waiting, self._running):
                while jobs:
                    try:
                        self._unstarted[jobs.popitem()[0]] = None
                    except KeyError:  # it just ended
                        break
            return list(self._unstarted)

    def _is_idle(self) -> bool:
        return not self._running and not self._reporting

    def _ring_when_idle(self) -> None:
        if self.is_stopping:
            self._ring(when=self._is_idle())

    def _ring(self, *, when: bool) -> None:
        if when:
            for bell in self._bells:
                bell.put(None)


def _room_changed(listener: PoolListener) -> None:
    listener.room_changed()
