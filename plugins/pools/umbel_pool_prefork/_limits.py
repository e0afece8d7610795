"""Soft and hard time limits, measured from the start that the child notes in its slot."""

from __future__ import annotations

import signal
from collections.abc import Collection

from umbel.spi import Job
from umbel_pool_prefork._crew import Crew
from umbel_pool_prefork._process import Cause, ChildHandle
from umbel_pool_prefork._reports import Reports

__all__ = ["check_limits", "next_limit_ns"]


def next_limit_ns(children: Collection[ChildHandle]) -> int | None:
    """Return the earliest moment at which a limit can be over, if any job has one.

    A job that has not started cannot be over before its whole limit has passed, so one look at that moment is enough.
    """
    return min((child.limit_due_ns for child in children if child.limit_due_ns is not None), default=None)


def check_limits(crew: Crew, reports: Reports, now_ns: int) -> None:
    """Warn or kill the children whose running job is over a limit."""
    for child in crew.children.values():
        if child.limit_due_ns is None or now_ns < child.limit_due_ns:
            continue
        child.limit_due_ns = None
        if child.cause is not None:
            continue
        running = child.slot.running()
        current = child.limited.get(running[0]) if running is not None else None
        for job in child.limited.values():
            if job is not current:
                child.watch(job, now_ns)
        if running is not None and current is not None:
            _judge(crew, reports, child, current, running[1], now_ns)


def _judge(crew: Crew, reports: Reports, child: ChildHandle, job: Job, started_ns: int, now_ns: int) -> None:
    hard_ns = None if job.time_limit_s is None else started_ns + int(job.time_limit_s * 1e9)
    soft_ns = None if job.soft_time_limit_s is None else started_ns + int(job.soft_time_limit_s * 1e9)
    if hard_ns is not None and now_ns >= hard_ns:
        crew.kill(child, Cause("timed_out", job.id, job.time_limit_s or 0.0))
        return
    if soft_ns is not None and child.warned != job.id:
        if now_ns >= soft_ns:
            child.warned = job.id
            child.slot.interrupt(job.id)
            crew.server.kill(child.index, signal.SIGUSR1)
            reports.soft_timed_out(job.id, job.soft_time_limit_s or 0.0)
        else:
            hard_ns = soft_ns if hard_ns is None else min(soft_ns, hard_ns)
    if hard_ns is not None and (child.limit_due_ns is None or hard_ns < child.limit_due_ns):
        child.limit_due_ns = hard_ns
