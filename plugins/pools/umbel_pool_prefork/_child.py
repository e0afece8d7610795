"""A pool process: takes jobs from its socket, runs them one after the other, sends the outcomes back in batches."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from types import FrameType

from umbel.exceptions import SoftTimeLimitExceeded
from umbel.spi import Executor, PoolOptions
from umbel_pool_prefork._frames import CRASHED, FAILED, HELLO, LEAVING, OVERRUN, FrameReader, encode_frame
from umbel_pool_prefork._slots import BEGUN, LEAVE, RUNNING, SOFT_TARGET, STARTED_NS, Slot

__all__ = ["run_child"]

#: Jobs quicker than this wait for company before their outcomes are sent, but not longer than _FLUSH_NS.
_QUICK_NS = 100_000
_FLUSH_NS = 1_000_000
_RECEIVE_BYTES = 256 * 1024

#: Left as the parent's handlers would be wrong here: [B752], [B753], [B1006], [B1007].
_RESET_SIGNALS = ("SIGHUP", "SIGTERM", "SIGQUIT", "SIGTTOU", "SIGTTIN", "SIGUSR2", "SIGCHLD", "SIGALRM")

#: Exit codes of a child that cannot go on, from sysexits.h: an internal error, no connection, start failed.
EXIT_CRASHED, EXIT_CUT_OFF, EXIT_UNPREPARED = 70, 74, 78


def run_child(connection: socket.socket, nudges: int, slot: Slot, executor: Executor, options: PoolOptions) -> int:
    """Be a pool process until told to leave; return the exit code. Runs in a fresh fork of the server."""
    child = _Child(connection, nudges, slot, executor, options)
    child.adopt_signals()
    random.seed()
    try:
        executor.enter_process()
    except Exception as error:
        child.send(note=(FAILED, 0, f"enter_process raised {type(error).__name__}: {error}"))
        traceback.print_exc()
        return EXIT_UNPREPARED
    threading.Thread(target=child.answer_nudges, name="umbel-pool-nudges", daemon=True).start()
    child.send(note=(HELLO, 0, ""))
    try:
        exit_code = child.serve()
    except (ConnectionError, OSError):
        return EXIT_CUT_OFF
    try:
        executor.leave_process()
    except Exception:  # [B1008] an error while cleaning up masks nothing and blocks nothing
        traceback.print_exc()
    return exit_code


class _Child:
    """The state of this process. Two threads: the main one runs jobs; the other one answers the pool's nudges.

    Every hand-over between the two is one atomic step of a deque: a job is run (``popleft``) or given back (``pop``),
    never both; an outcome is sent by whoever took it.
    """

    def __init__(
        self, connection: socket.socket, nudges: int, slot: Slot, executor: Executor, options: PoolOptions
    ) -> None:
        self._connection = connection
        self._nudges = nudges
        self._slot = slot
        self._words = slot.words
        self._executor = executor
        self._jobs: deque[tuple[int, bytes]] = deque()
        self._results: deque[tuple[int, bytes, int]] = deque()
        self._frames = FrameReader()
        self._buffer = memoryview(bytearray(_RECEIVE_BYTES))
        self._reading = threading.Lock()
        self._sending = threading.Lock()
        self._flushed_ns = time.monotonic_ns()
        self._interruptible = False
        self._tasks_left = options.max_tasks_per_child or -1
        self._max_rss_kib = options.max_memory_per_child_kib or 0
        # A task that forks without exec must neither hold the pool's socket open nor speak on it.
        os.register_at_fork(after_in_child=connection.close)

    # -- signals -------------------------------------------------------------------------------------------------------

    def adopt_signals(self) -> None:
        """Ignore Ctrl-C, forget the worker's handlers, and take SIGUSR1 for soft limits."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for name in _RESET_SIGNALS:
            if (number := getattr(signal, name, None)) is not None:
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, self._on_soft_limit)

    def _on_soft_limit(self, number: int, frame: FrameType | None) -> None:
        words = self._words
        target = words[SOFT_TARGET]
        if self._interruptible and target and target == words[RUNNING]:
            words[SOFT_TARGET] = 0
            raise SoftTimeLimitExceeded

    # -- the main thread -----------------------------------------------------------------------------------------------

    def serve(self) -> int:
        """Run jobs until the pool says leave, goes away, or this process has done its share."""
        jobs, words = self._jobs, self._words
        while self._fill():
            while jobs and not words[LEAVE]:
                try:
                    job_id, payload = jobs.popleft()
                except IndexError:  # given back meanwhile
                    break
                if not self._run(job_id, payload):
                    return EXIT_CRASHED
                if self._is_used_up():
                    words[LEAVE] = 1
            if words[LEAVE]:
                break
        self.send(note=(LEAVING, 0, ""))
        return 0

    def _run(self, job_id: int, payload: bytes) -> bool:
        words = self._words
        outcome: bytes | None = None
        started = time.monotonic_ns()
        words[STARTED_NS] = started
        words[BEGUN] = 1
        words[RUNNING] = job_id + 1
        try:
            self._interruptible = True
            outcome = self._executor.execute(payload)
            self._interruptible = False
        except SoftTimeLimitExceeded:  # struck a moment before or after the task's own code
            self._interruptible = False
        except BaseException as error:
            self._interruptible = False
            traceback.print_exc()
            self.send(note=(CRASHED, job_id, f"the executor raised {type(error).__name__}: {error}"))
            return False
        now = time.monotonic_ns()
        if outcome is None:
            self.send(note=(OVERRUN, job_id, ""))
        else:
            self._results.append((job_id, outcome, now - started))
            if not (
                now - started < _QUICK_NS
                and now - self._flushed_ns < _FLUSH_NS
                and self._jobs
                and self._slot.note(job_id, outcome, now - started)
            ):
                self._flush(now)
        words[RUNNING] = 0
        return True

    def _flush(self, now: int) -> None:
        self.send()
        self._slot.handed_over()
        self._flushed_ns = now

    def _fill(self) -> bool:
        """Wait for jobs; ``False`` when there will be none."""
        if self._results:
            self._flush(time.monotonic_ns())
        with self._reading:
            while not self._jobs:
                if self._words[LEAVE] or not self._receive(0):
                    return False
        self._flushed_ns = time.monotonic_ns()
        return True

    def _receive(self, flags: int) -> bool:
        size = self._connection.recv_into(self._buffer, 0, flags)
        for frame in self._frames.feed(self._buffer[:size]):
            self._jobs.extend(frame)
        return size > 0

    def _is_used_up(self) -> bool:
        self._tasks_left -= 1
        return self._tasks_left == 0 or (self._max_rss_kib > 0 and _rss_kib() > self._max_rss_kib)

    # -- both threads --------------------------------------------------------------------------------------------------

    def send(self, given: list[int] | None = None, note: tuple[str, int, str] | None = None) -> None:
        """Send what is finished, with a note; the answer to a nudge names the jobs *given* back, maybe none."""
        results = self._results
        with self._sending:
            batch: list[tuple[int, bytes, int]] = []
            while results:
                batch.append(results.popleft())
            if batch or given is not None or note:
                for piece in encode_frame((batch, given, note)):
                    self._connection.sendall(piece)

    # -- the other thread ----------------------------------------------------------------------------------------------

    def answer_nudges(self) -> None:
        """Give the pool what waits behind a long job, whenever it asks; end this process when the pool is gone."""
        try:
            while os.read(self._nudges, 64):
                self._give_back()
        except OSError:  # a task closed what it did not open; the main thread finds out by itself
            return
        os._exit(EXIT_CUT_OFF)

    def _give_back(self) -> None:
        given: list[int] = []
        # When the main thread is reading, no job runs, so nothing is hidden behind one.
        if self._reading.acquire(blocking=False):
            try:
                while self._receive(socket.MSG_DONTWAIT):
                    pass
            except BlockingIOError:
                pass
            finally:
                self._reading.release()
            while True:
                try:
                    given.append(self._jobs.pop()[0])
                except IndexError:
                    break
        self.send(given)


def _rss_kib() -> int:
    try:
        with open("/proc/self/statm", "rb", buffering=0) as statm:
            return int(statm.read().split()[1]) * _PAGE_KIB
    except OSError:  # no /proc: the peak is the next best
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak


_PAGE_KIB = resource.getpagesize() // 1024
