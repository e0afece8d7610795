"""What the pool reports, on its way to the outflow, and what becomes of it there."""

from __future__ import annotations

import collections
import logging
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from umbel.model import ChordPart, Publication, TaskMeta
from umbel.worker import frames
from umbel.worker.endings import Ending
from umbel.worker.failures import Failures
from umbel.worker.held import Held, HeldTogether, Jobs
from umbel.worker.outflow import Batch, Item, Report

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Observer", "Reports", "Told", "Translator"]

logger = logging.getLogger("umbel.worker.outflow")

#: An outcome that carries a report: what was held, what became of it (:mod:`frames`), the report, what it sends.
Told = tuple[Held, str, "tuple[Any, ...] | None", Sequence[Publication]]

#: Told of all outcomes but plain acknowledgements, in the outflow's thread.
Observer = Callable[[Sequence[Told]], None]


class Reports:
    """The pool's listener: puts what it is told on the outflow's belt. Called from the pool's threads, never blocks."""

    def __init__(
        self,
        put: Callable[[Item], None],
        room_changed: Callable[[], None],
        failed: Callable[[str], None],
        jobs: Jobs,
    ) -> None:
        self._put = put
        self._room_changed = room_changed
        self._failed = failed
        self._jobs = jobs

    def finished(self, outcomes: Sequence[tuple[int, bytes]]) -> None:
        self._put(outcomes)

    def lost(self, job_id: int, reason: str) -> None:
        self._put(Report("lost", job_id, reason))

    def timed_out(self, job_id: int, limit_s: float) -> None:
        self._put(Report("timed_out", job_id, repr(limit_s)))

    def soft_timed_out(self, job_id: int, limit_s: float) -> None:
        held = self._jobs.get(job_id)
        if held is not None:
            logger.warning("Soft time limit (%ss) exceeded for %s[%s]", limit_s, held.name, held.task_id)

    def terminated(self, job_id: int, signal: str) -> None:
        self._put(Report("terminated", job_id, signal))

    def room_changed(self) -> None:
        self._room_changed()

    def failed(self, reason: str) -> None:
        self._failed(reason)


class Translator:
    """Turns items of the belt into acknowledgements and endings, and counts them. Used by the outflow's thread."""

    def __init__(self, app: Umbel, jobs: Jobs, failures: Failures) -> None:
        #: How many tasks of each name have ended, and how many in all in each way.
        self.totals: collections.Counter[str] = collections.Counter()
        self.kinds: collections.Counter[str] = collections.Counter()
        self.observers: list[Observer] = []
        #: Jobs that are terminated since their message will be delivered again, and not for good.
        self.cancelled: set[int] = set()
        self._app = app
        self._jobs = jobs
        self._failures = failures
        self._queues = frames.QueueCodec()

    def __call__(self, item: Item, batch: Batch) -> None:
        """Add what *item* means to *batch*."""
        if isinstance(item, Ending):
            batch.endings.append(item)
        elif isinstance(item, Report):
            self._reported(item, batch)
        elif item is not None:
            self._finished(item, batch)

    def _finished(self, outcomes: Sequence[tuple[int, bytes]], batch: Batch) -> None:
        pop = self._jobs.pop
        totals = self.totals
        acks = batch.acks
        told: list[Told] = []
        for job_id, data in outcomes:
            held = pop(job_id, None)
            if held is None:
                continue  # given back meanwhile
            totals[held.name] += 1
            if data == frames.DONE:
                acks.append(held)
            elif isinstance(held, HeldTogether) and data[0] == frames.TOGETHER:
                self._finished_together(held, data, batch, told)
            else:
                self._ended(held, data, batch, told)
        if told:
            for observer in tuple(self.observers):  # one may be taken away meanwhile
                observer(told)

    def _finished_together(self, together: HeldTogether, data: bytes, batch: Batch, told: list[Told]) -> None:
        self.totals[together.name] += len(together.members) - 1
        for held, outcome in zip(together.members, frames.decode_together(data), strict=True):
            if outcome == frames.DONE:
                batch.acks.append(held)
            else:
                self._ended(held, outcome, batch, told)

    def _ended(self, held: Held, data: bytes, batch: Batch, told: list[Told]) -> None:
        """Take an outcome that is more than an acknowledgement."""
        if data[0] == frames.TOLD:
            self._told(held, data, batch, told)
        elif data[0] == frames.KEPT:
            batch.endings.append(self._kept(held, data, told))
        else:
            batch.endings.append(self._ending(held, data, told))

    def _told(self, held: Held, data: bytes, batch: Batch, told: list[Told]) -> None:
        """Acknowledge a task that left its report and nothing else."""
        try:
            report = frames.decode_report(data)
        except Exception as error:
            batch.endings.append(self._unreadable(held, error))
            return
        self.kinds[frames.SUCCEEDED] += 1
        batch.acks.append(held)
        told.append((held, frames.SUCCEEDED, report, ()))

    def _kept(self, held: Held, data: bytes, told: list[Told]) -> Ending:
        """Return the ending of a task that left its result, its report where one is wanted, and nothing else."""
        try:
            meta, report = frames.decode_kept(data)
        except Exception as error:
            return self._unreadable(held, error)
        self.kinds[frames.SUCCEEDED] += 1
        if report is not None:
            told.append((held, frames.SUCCEEDED, report, ()))
        return Ending(held, metas=(meta,))

    def _unreadable(self, held: Held, error: Exception) -> Ending:
        """Memory was overwritten in a child, or a pool is at fault: this task's alone."""
        logger.critical("the outcome of %s[%s] cannot be read", held.name, held.task_id, exc_info=error)
        return self._failures.lost(held, f"its outcome cannot be read: {error!r}")

    def _ending(self, held: Held, data: bytes, told: list[Told]) -> Ending:
        try:
            outcome = frames.decode_outcome(data)
            ending = Ending(
                held,
                publications=[self._queues.unpack(fields) for fields in outcome.publications],
                metas=[TaskMeta(*fields) for fields in outcome.metas],
                parts=[ChordPart(*fields) for fields in outcome.parts],
            )
        except Exception as error:
            return self._unreadable(held, error)
        kind = outcome.kind
        self.kinds[kind] += 1
        told.append((held, kind, outcome.report, ending.publications))
        if kind == frames.PARK:
            reason, _, text = (outcome.reason or "invalid").partition("\n")
            return self._failures.parked(held, reason, text)
        if kind == frames.REJECTED:
            return self._failures.rejected(held, outcome.reason or "", ending)
        if kind == frames.REQUEUED:
            return self._failures.back_counted(held)
        if kind == frames.FAILED:
            return self._unacknowledged_failure(held, outcome, ending)
        return ending

    def _unacknowledged_failure(self, held: Held, outcome: frames.Outcome, ending: Ending) -> Ending:
        """Honour ``acks_on_failure`` and ``acks_on_timeout``, where a task or setting says false."""
        task = self._app.tasks.get(held.name)
        if task is None or held.acknowledged:
            return ending
        is_timeout = outcome.reason == "timeout"
        own = task.acks_on_timeout if is_timeout else task.acks_on_failure
        if task.acks_on_failure_or_timeout if own is None else own:
            return ending
        if is_timeout:
            back = self._failures.back_counted(held)
            ending.verdict, ending.publications = back.verdict, [*ending.publications, *back.publications]
            return ending
        return self._failures.rejected(held, "the task failed, and is not acknowledged on failure", ending)

    def _reported(self, report: Report, batch: Batch) -> None:
        what, job_id, detail = report
        held = self._jobs.pop(job_id, None)
        if held is None:
            return
        for each in held.members if isinstance(held, HeldTogether) else (held,):
            self.totals[each.name] += 1
            self.kinds[what] += 1
            if what == "lost":
                batch.endings.append(self._failures.lost(each, detail))
            elif what == "timed_out":
                batch.endings.append(self._failures.timed_out(each, float(detail)))
            elif job_id in self.cancelled:
                batch.endings.append(self._failures.cancelled(each))
            elif each is not held:  # one of several was meant: it is revoked when it comes again, and the others run
                batch.endings.append(self._failures.back_uncounted(each))
            else:
                batch.endings.append(self._failures.terminated(each, detail, _number(detail)))


def _number(name: str) -> int | None:
    try:
        return int(signal.Signals[name if name.startswith("SIG") else f"SIG{name}"])
    except KeyError:
        return None
