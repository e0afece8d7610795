"""Jobs that no child has yet, and how long jobs of each name take."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from umbel.spi import Job

__all__ = ["BUDGET_NS", "MAX_BATCH", "Backlog", "RunTimes"]

#: Expected work that a child may have before it: enough to hide a round trip, little enough to hide no short job.
BUDGET_NS = 5_000_000
MAX_BATCH = 128
_MAX_BATCH_BYTES = 1024 * 1024
_MAX_NAMES = 10_000
_WEIGHT = 0.2


class RunTimes:
    """Moving averages of run times, one a task name, in nanoseconds. An unknown name fills a child's whole budget."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self.mean_ns: float | None = None

    def expected_ns(self, name: str) -> int:
        """Return how long the next job of *name* will probably take."""
        return int(self._times.get(name, BUDGET_NS))

    def learn(self, name: str, elapsed_ns: float, count: int = 1) -> None:
        """Take note of the run time of a job, or of the mean of *count* that ended together."""
        times = self._times
        weight = _WEIGHT if count == 1 else 1.0 - (1.0 - _WEIGHT) ** count
        known = times.get(name)
        if known is None:
            if len(times) >= _MAX_NAMES:
                times.clear()
            times[name] = elapsed_ns
        else:
            times[name] = known + (elapsed_ns - known) * weight
        mean = self.mean_ns
        self.mean_ns = elapsed_ns if mean is None else mean + (elapsed_ns - mean) * weight


class Backlog:
    """The pool's own queue. *incoming* may be extended by any thread; the rest is for whoever has the engine's turn."""

    def __init__(self) -> None:
        self.incoming: deque[Job] = deque()
        self.times = RunTimes()
        self._pending: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._pending) + len(self.incoming)

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Put jobs that were with a child before all others, in their order."""
        self._pending.extendleft(reversed(list(jobs)))

    def accept(self) -> int:
        """Move what was submitted to the queue; return how much waits."""
        incoming, pending = self.incoming, self._pending
        while incoming:
            pending.append(incoming.popleft())
        return len(pending)

    def take(self, at_most: int, budget_ns: int, must_start: bool) -> list[tuple[Job, int]]:
        """Take the next jobs, with their expected times, until *budget_ns* is full; at least one if *must_start*."""
        pending, expected_ns = self._pending, self.times.expected_ns
        taken: list[tuple[Job, int]] = []
        size = 0
        while pending and len(taken) < at_most:
            job = pending[0]
            cost = expected_ns(job.name)
            if (cost > budget_ns or size > _MAX_BATCH_BYTES) and (taken or not must_start):
                break
            pending.popleft()
            taken.append((job, cost))
            budget_ns -= cost
            size += len(job.payload)
        return taken

    def drop(self, job_id: int) -> bool:
        """Remove one job; say whether it was here."""
        self.accept()
        for job in self._pending:
            if job.id == job_id:
                self._pending.remove(job)
                return True
        return False

    def clear(self) -> list[int]:
        """Remove all; return their ids."""
        self.accept()
        ids = [job.id for job in self._pending]
        self._pending.clear()
        return ids
