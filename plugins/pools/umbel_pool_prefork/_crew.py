"""The children of the pool: their births, what they say, their deaths and their successors."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import time
from collections.abc import Iterable

from umbel.spi import Job, PoolOptions
from umbel_pool_prefork._backlog import Backlog
from umbel_pool_prefork._births import Births
from umbel_pool_prefork._frames import CRASHED, FAILED, HELLO, LEAVING, OVERRUN, Report
from umbel_pool_prefork._process import Cause, ChildHandle, describe_exit
from umbel_pool_prefork._reports import Reports
from umbel_pool_prefork._server import EXITED, STARTED
from umbel_pool_prefork._server_link import ServerLink
from umbel_pool_prefork._servers import Record, Servers
from umbel_pool_prefork._slots import Slots

__all__ = ["Crew"]

_log = logging.getLogger("umbel.pool.prefork")

_RECEIVE_BYTES = 256 * 1024
_WITH_ITS_SERVER = "died with the pool's server process"


class Crew:
    """Keeps as many children as are wanted. Belongs to the pool's I/O thread."""

    def __init__(
        self,
        options: PoolOptions,
        slots: Slots,
        server: ServerLink,
        backlog: Backlog,
        reports: Reports,
        selector: selectors.BaseSelector,
    ) -> None:
        self.children: dict[int, ChildHandle] = {}
        self.wanted = options.concurrency
        self.closing = False
        #: Why the pool cannot go on, when it cannot.
        self.broken: str | None = None
        self.cut: list[int] = []
        self.server = Servers(server, selector, self._on_records, self._on_new_server, self._on_no_server)
        self._max_children = slots.count
        self.births = Births(slots, self.server, selector)
        self._backlog = backlog
        self._reports = reports
        self._selector = selector
        self._lost_wait_ns = int(options.lost_wait_s * 1e9)
        self._buffer = memoryview(bytearray(_RECEIVE_BYTES))

    # -- births -------------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> int:
        """How many children take jobs."""
        return sum(1 for child in self.children.values() if child.ready and not child.leaving)

    def fill(self, now_ns: int) -> None:
        """Ask for the children that are missing, unless the last ones died too fast."""
        if not self.closing and not self.broken:
            self.server.keep(now_ns)
            self.births.fill(self.children, self.wanted, now_ns)
            self.broken = self.births.failure

    def resize(self, concurrency: int) -> None:
        """Want *concurrency* children from now on; those without work leave first."""
        if not 1 <= concurrency <= self._max_children:
            raise ValueError(f"expected a concurrency from 1 to {self._max_children} (set at start), got {concurrency}")
        self.wanted = concurrency
        self.births.hurry()
        staying = [child for child in self.children.values() if not child.leaving]
        staying.sort(key=lambda child: (len(child.outstanding), child.index))
        for child in staying[: max(0, len(staying) - concurrency)]:
            self.dismiss(child)

    # -- what they say ------------------------------------------------------------------------------------------------

    def on_child(self, child: ChildHandle, mask: int) -> None:
        """Read and write what is possible without waiting."""
        if mask & selectors.EVENT_WRITE:
            child.write()
        if mask & selectors.EVENT_READ:
            self._read(child)
        if child.orphaned and child.closed and child.index in self.children:
            self._bury(child, _WITH_ITS_SERVER)
        elif child.closed and child.index in self.children and child.kill_at_ns is None:
            self._selector.unregister(child.connection)
            # [B991] its end is reported by the server; a child that only closed its socket is of no use either
            child.kill_at_ns = time.monotonic_ns() + self._lost_wait_ns

    def _read(self, child: ChildHandle) -> bool:
        try:
            reports = child.read(self._buffer)
        except ValueError as error:
            child.last_words = str(error)
            self.server.kill(child.index, signal.SIGKILL)
            return False
        for report in reports or ():
            self._take(child, report)
        return reports is not None

    def _take(self, child: ChildHandle, report: Report) -> None:
        results, given, note = report
        self._ended(child, results)
        if given is not None:
            child.answered(time.monotonic_ns())
        if given:
            self._take_back(child, given)
        elif results:
            child.hear(time.monotonic_ns())
        if note is not None:
            self._listen(child, *note)

    def _ended(self, child: ChildHandle, results: Iterable[tuple[int, bytes, int]]) -> None:
        """Report outcomes, and learn how long jobs of their names take, once for each run of the same name."""
        finished, learn = self._reports.finished, self._backlog.times.learn
        name, total_ns, count = "", 0, 0
        for job_id, outcome, elapsed_ns in results:
            job = child.take_back(job_id)
            if job is None:
                continue
            if job.name != name:
                if count:
                    learn(name, total_ns / count, count)
                name, total_ns, count = job.name, 0, 0
            total_ns += elapsed_ns
            count += 1
            child.jobs_done += 1
            if child.doomed:
                child.doomed.pop(job_id, None)
            finished((job_id, outcome))
        if count:
            learn(name, total_ns / count, count)

    def _take_back(self, child: ChildHandle, given: list[int]) -> None:
        ids = set(given)
        order = [job_id for job_id in child.outstanding if job_id in ids]
        jobs = [job for job_id in order if (job := child.take_back(job_id)) is not None]
        self._requeue(child, jobs)

    def _requeue(self, child: ChildHandle, jobs: list[Job]) -> None:
        kept = []
        for job in jobs:
            if (number := child.doomed.pop(job.id, None)) is None:
                kept.append(job)
            else:
                self._reports.terminated(job.id, number)
        self._backlog.put_back(kept)

    def _listen(self, child: ChildHandle, kind: str, job_id: int, text: str) -> None:
        if kind == HELLO:
            child.ready = True
            self.server.note_child()
            self._reports.room_changed()
        elif kind == FAILED:
            child.last_words = text
        elif kind == LEAVING:
            child.leaving = True
            child.kill_at_ns = time.monotonic_ns() + self._lost_wait_ns
            self.births.hurry()
            # It runs nothing any more, so none of its backlog is lost; and nobody waits for it to clean up.
            self._take_back(child, list(child.outstanding))
        elif (job := child.take_back(job_id)) is not None:
            if kind == CRASHED:
                self._reports.lost(job_id, f"pool process {child.pid}: {text}")
            elif kind == OVERRUN:
                self._reports.timed_out(job_id, job.soft_time_limit_s or 0.0)

    # -- deaths -------------------------------------------------------------------------------------------------------

    def dismiss(self, child: ChildHandle) -> None:
        """Let it finish what it runs and go; what waits behind that comes back at once."""
        child.ask_to_leave()
        if len(child.outstanding) > 1:
            child.nudge()

    def kill(self, child: ChildHandle, cause: Cause, number: int = signal.SIGKILL) -> bool:
        """Kill it for the job in *cause*; ``False`` when that job has just ended (the child leaves in peace then)."""
        child.leaving = True
        child.slot.ask_to_leave()
        if not child.slot.runs(cause.job_id):
            child.ask_to_leave()
            return False
        child.cause = cause
        if number != signal.SIGKILL:
            child.kill_at_ns = time.monotonic_ns() + self._lost_wait_ns
        self.server.kill(child.index, number)
        return True

    def kill_doomed(self) -> None:
        """Kill the children that started a job after it was asked to be dropped."""
        for child in self.children.values():
            for job_id, name in list(child.doomed.items()):
                if child.slot.runs(job_id):
                    del child.doomed[job_id]
                    self.kill(child, Cause("terminated", job_id, signal=name), signal.Signals[name])

    def kill_overdue(self, now_ns: int) -> None:
        """Kill those that should be gone by now."""
        for child in self.children.values():
            if child.kill_at_ns is not None and now_ns >= child.kill_at_ns and not child.orphaned:
                child.kill_at_ns = now_ns + self._lost_wait_ns
                self.server.kill(child.index, signal.SIGKILL)

    def close_down(self, kill: bool) -> None:
        """Start no more jobs and no more children; with *kill*, end those that run."""
        self.closing = True
        for child in self.children.values():
            if kill or not child.ready:
                child.leaving = True
                child.slot.ask_to_leave()
                child.cause = child.cause or Cause("cut", -1)
                self.server.kill(child.index, signal.SIGKILL)
            elif not child.leaving:
                self.dismiss(child)

    def _on_records(self, records: list[Record]) -> None:
        for what, index, pid, code in records:
            child = self.children.get(index)
            if child is None or child.orphaned:
                continue
            if what == STARTED:
                child.pid = pid
            elif what == EXITED:
                self._bury(child, describe_exit(code))
            else:
                self._bury(child, f"could not be forked: {os.strerror(code)}")

    def _on_new_server(self) -> None:
        """Part with the children of the server that died: they go with it, and are buried when their sockets end."""
        for child in list(self.children.values()):
            child.leaving = child.orphaned = True
            _kill(child)
            if child.closed:
                self._bury(child, _WITH_ITS_SERVER)
        self.births.hurry()

    def _on_no_server(self, reason: str) -> None:
        self.broken = self.broken or reason
        for child in list(self.children.values()):
            _kill(child)
            self._bury(child, _WITH_ITS_SERVER)

    def _bury(self, child: ChildHandle, end: str) -> None:
        """Settle what a dead child leaves: outcomes first, then the job it ran, then the jobs it never began."""
        while not child.closed and self._read(child):  # what it sent before its end is all here by now [B991]
            pass
        self._ended(child, child.slot.unsent())
        del self.children[child.index]
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.connection)
        child.close()
        end = f"pool process {child.pid} {end}" + (f" ({child.last_words})" if child.last_words else "")
        running = child.slot.running()
        if running is not None and (job := child.take_back(running[0])) is not None:
            self._report_end(child, job, end)
        self._requeue(child, [job for job, _ in child.outstanding.values()])
        self.births.note_end(child, end)
        self.broken = self.broken or self.births.failure
        self._reports.room_changed()

    def _report_end(self, child: ChildHandle, job: Job, end: str) -> None:
        cause = child.cause
        if cause is not None and cause.kind == "cut":
            self.cut.append(job.id)
        elif cause is not None and cause.job_id == job.id:
            if cause.kind == "timed_out":
                self._reports.timed_out(job.id, cause.limit_s)
            else:
                self._reports.terminated(job.id, cause.signal)
        else:
            _log.error("%s while it ran job %d (%s)", end, job.id, job.name)
            self._reports.lost(job.id, end)


def _kill(child: ChildHandle) -> None:
    """Kill a child whose server is gone; the kernel does so too where it can."""
    if child.pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
