"""The pool's one thread: all reads, timers and decisions. Other threads leave orders and wake it.

One thing they may do themselves while it sleeps: give jobs to children that are free.
"""

from __future__ import annotations

import logging
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from umbel.spi import PoolListener, PoolOptions
from umbel_pool_prefork._backlog import Backlog
from umbel_pool_prefork._crew import Crew
from umbel_pool_prefork._dispatch import dispatch, next_nudge_ns, nudge
from umbel_pool_prefork._limits import check_limits, next_limit_ns
from umbel_pool_prefork._process import Cause, ChildHandle
from umbel_pool_prefork._reports import Reports
from umbel_pool_prefork._server_link import ServerLink
from umbel_pool_prefork._slots import Slots

__all__ = ["Engine"]

_log = logging.getLogger("umbel.pool.prefork")
T = TypeVar("T")


class Engine:
    """Runs the pool from :meth:`start` until it was told to stop and the last child is gone."""

    def __init__(
        self, options: PoolOptions, slots: Slots, server: ServerLink, backlog: Backlog, listener: PoolListener
    ) -> None:
        self.backlog = backlog
        #: Gets one item: ``None`` when the first children are ready, or the reason why they are not.
        self.started: SimpleQueue[str | None] = SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._reports = Reports(listener)
        self.crew = Crew(options, slots, server, backlog, self._reports, self._selector)
        self._orders: deque[Callable[[], None]] = deque()
        # Sockets, not a pipe: their close() is safe while another thread wakes.
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._selector.register(self._wake_out, selectors.EVENT_READ, self._on_wake)
        self._sleeping = False
        self._sleeps_until_ns: int | None = None
        #: Held by whoever changes what belongs to the thread: the thread, but while it sleeps also one that hands out jobs.
        self._turn = threading.Lock()
        self._starting = True
        self._start_timeout_s = options.start_timeout_s
        self._start_due_ns: int | None = time.monotonic_ns() + int(options.start_timeout_s * 1e9)
        self._stop_due_ns: int | None = None
        self._stop_replies: list[SimpleQueue[list[int]]] = []
        self._unstarted: list[int] = []
        self._has_failed = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="umbel-pool", daemon=True)

    # -- other threads ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Make the thread look at what it was left; costs nothing while it is awake."""
        if self._sleeping:
            self._sleeping = False
            try:
                self._wake_in.send(b"w")
            except OSError:  # full: it will wake; closed: it has ended
                return

    def hand_out(self) -> None:
        """Give what was submitted to children that are free: here, if the thread sleeps, which saves waking it."""
        if not (self._sleeping and self._turn.acquire(blocking=False)):
            self.wake()
            return
        try:
            if self.crew.closing or self.crew.broken:
                return
            dispatch(self.crew.children.values(), self.backlog, time.monotonic_ns())
            self._follow_writers()
            due_ns, until_ns = self._due_ns(), self._sleeps_until_ns
        finally:
            self._turn.release()
        if due_ns is not None and (until_ns is None or due_ns < until_ns):
            self.wake()

    def ask(self, question: Callable[[], T]) -> T:
        """Run *question* in the pool's thread and return, or raise, what it does."""
        if threading.current_thread() is self._thread:
            return question()
        reply: SimpleQueue[tuple[T | None, Exception | None]] = SimpleQueue()

        def answer() -> None:
            try:
                reply.put((question(), None))
            except Exception as error:
                reply.put((None, error))

        self._order(answer)
        value, error = reply.get()
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

    def stop(self, drain: bool, timeout_s: float | None) -> list[int]:
        """See ``Pool.stop``. May be called again from a signal handler that interrupts a call: no lock is held here."""
        reply: SimpleQueue[list[int]] = SimpleQueue()
        self._order(lambda: self._begin_stop(drain, timeout_s, reply))
        if threading.current_thread() is self._thread:  # a listener stops the pool: it cannot wait for itself
            return []
        return reply.get()

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.append(order)
        self.wake()
        if self._ended:  # nobody else will
            self._obey()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._is_over():
                self._round()
        except BaseException as error:
            _log.exception("the pool's thread failed")
            self._reports.failed(f"the pool's thread raised {type(error).__name__}: {error}; please report this")
        self._end()

    def _round(self) -> None:
        with self._turn:
            due_ns = self._sleeps_until_ns = self._due_ns()
            self._sleeping = True  # before looking: who leaves something later wakes
            self._sleeping = not (self._orders or self.backlog.incoming)
        timeout_s = None if due_ns is None else max(0.0, (due_ns - time.monotonic_ns()) / 1e9)
        events = self._selector.select(timeout_s if self._sleeping else 0.0)
        self._sleeping = False
        with self._turn:
            self._work(events)
        self._reports.flush()

    def _work(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        for key, mask in events:
            if isinstance(key.data, ChildHandle):
                self.crew.on_child(key.data, mask)
            else:
                key.data(mask)
        self._obey()
        now_ns = time.monotonic_ns()
        self._keep_time(now_ns)
        if not self.crew.closing and not self.crew.broken:
            dispatch(self.crew.children.values(), self.backlog, now_ns)
        self._follow_writers()

    def _obey(self) -> None:
        orders = self._orders
        while orders:
            try:
                order = orders.popleft()
            except IndexError:
                return
            order()

    def _on_wake(self, mask: int) -> None:
        self._wake_out.recv(4096)

    def _follow_writers(self) -> None:
        for child in self.crew.children.values():
            if child.is_writing != child.is_watched and not child.closed:
                child.is_watched = child.is_writing
                mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.is_writing else 0)
                self._selector.modify(child.connection, mask, child)

    def _due_ns(self) -> int | None:
        """Return when something is to be done though nothing happens."""
        children = self.crew.children.values()
        moments = [next_nudge_ns(children), next_limit_ns(children)]
        if not self.crew.closing and not self.crew.broken:
            moments += [self.crew.births.due_ns, self.crew.server.due_ns]
        moments += [self._start_due_ns, self._stop_due_ns]
        moments += [child.kill_at_ns for child in children if child.kill_at_ns is not None]
        return min((moment for moment in moments if moment is not None), default=None)

    def _keep_time(self, now_ns: int) -> None:
        crew = self.crew
        if any(child.doomed for child in crew.children.values()):
            crew.kill_doomed()
        nudge(crew.children.values(), now_ns)
        check_limits(crew, self._reports, now_ns)
        crew.kill_overdue(now_ns)
        crew.fill(now_ns)
        if self._starting:
            self._watch_start(now_ns)
        if self._stop_due_ns is not None and now_ns >= self._stop_due_ns:
            self._stop_due_ns = None
            crew.close_down(kill=True)
        if crew.broken and not self._has_failed and not crew.closing and not self._starting:
            self._has_failed = True
            self._reports.failed(crew.broken)

    def _watch_start(self, now_ns: int) -> None:
        crew = self.crew
        reason: str | None = None
        if crew.broken or crew.births.stillborn:
            reason = crew.broken or f"a pool process died at start: {crew.births.last_end}"
        elif crew.closing:
            reason = "the pool was stopped while it started"
        elif self._start_due_ns is not None and now_ns >= self._start_due_ns:
            reason = (
                f"expected {crew.wanted} pool processes to be ready within {self._start_timeout_s:g} s, got {crew.ready}; "
                "look for slow imports or worker_process_init handlers, or give a longer start timeout"
            )
        elif crew.ready < crew.wanted:
            return
        self._starting = False
        self._start_due_ns = None
        self.started.put(reason)

    # -- stopping -----------------------------------------------------------------------------------------------------

    def _begin_stop(self, drain: bool, timeout_s: float | None, reply: SimpleQueue[list[int]]) -> None:
        self._stop_replies.append(reply)
        if self._ended:
            self._answer_stops()
            return
        self.crew.close_down(kill=not drain)
        if drain and timeout_s is not None:
            due_ns = time.monotonic_ns() + int(timeout_s * 1e9)
            self._stop_due_ns = due_ns if self._stop_due_ns is None else min(due_ns, self._stop_due_ns)

    def _is_over(self) -> bool:
        return self.crew.closing and not self.crew.children

    def _end(self) -> None:
        self._reports.flush()
        self.crew.closing = True
        self.crew.server.close()
        self._selector.close()
        if self._starting:
            self.started.put("the pool was stopped while it started")
        self._ended = True
        self._wake_in.close()
        self._wake_out.close()
        self._obey()
        self._answer_stops()

    def _answer_stops(self) -> None:
        self._unstarted += self.crew.cut + self.backlog.clear()
        self.crew.cut.clear()
        for reply in self._stop_replies:
            reply.put(list(self._unstarted))
        self._stop_replies.clear()

    # -- questions, asked with ask() ----------------------------------------------------------------------------------

    def terminate(self, job_id: int, name: str) -> bool:
        """See ``Pool.terminate``."""
        number = signal.Signals[name]
        if self.backlog.drop(job_id):
            self._reports.terminated(job_id, name)
            return False
        for child in self.crew.children.values():
            if job_id not in child.outstanding:
                continue
            if not child.slot.runs(job_id):
                child.doomed[job_id] = name
                child.nudge()
                return False
            if number == signal.SIGUSR1:  # Celery's way to raise SoftTimeLimitExceeded in a task
                child.slot.interrupt(job_id)
                self.crew.server.kill(child.index, number)
                return True
            return self.crew.kill(child, Cause("terminated", job_id, signal=name), number)
        return False
