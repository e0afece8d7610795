"""The prefork pool: jobs run in child processes, which can crash, be limited and be killed alone."""

from __future__ import annotations

import atexit
import logging
import os
import signal as signals
import threading
import time
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar

from umbel.exceptions import ImproperlyConfigured, UmbelError
from umbel.spi import Executor, Job, Pool, PoolCapabilities, PoolListener, PoolOptions, RunningJob
from umbel_pool_prefork._backlog import Backlog
from umbel_pool_prefork._dispatch import room
from umbel_pool_prefork._engine import Engine
from umbel_pool_prefork._server_link import ServerLink
from umbel_pool_prefork._slots import Slots

__all__ = ["PreforkPool"]

_log = logging.getLogger("umbel.pool.prefork")

#: Slots are mapped before the first fork, so this bounds what resize() can reach.
_MIN_SLOTS = 256


class PreforkPool(Pool):
    """Runs jobs in processes forked ahead of time. Every method may be called from any thread.

    ``start`` forks, and must be called before the process has other threads. ``stop`` may be called from a signal
    handler, also while another call of it waits in the same thread.
    """

    capabilities: ClassVar[PoolCapabilities] = PoolCapabilities(
        hard_time_limit=True,
        soft_time_limit=True,
        terminate=True,
        isolates_crashes=True,
        runs_coroutines=True,
        max_tasks_per_child=True,
        max_memory_per_child=True,
        resize=True,
    )

    def __init__(self, options: PoolOptions) -> None:
        if not hasattr(os, "fork"):
            raise ImproperlyConfigured("the prefork pool needs a system with fork(); use pool = 'threads' here")
        if options.concurrency < 1:
            raise ImproperlyConfigured(f"expected a concurrency of 1 or more, got {options.concurrency}")
        self._options = options
        self._backlog = Backlog()
        self._engine: Engine | None = None
        self._is_stopped = False
        # Reentrant, since a signal handler may call stop() in the middle of start().
        self._lifecycle = threading.RLock()

    def start(self, executor: Executor, listener: PoolListener) -> None:
        with self._lifecycle:
            if self._engine is not None or self._is_stopped:
                raise RuntimeError("expected a new pool, got one that was started or stopped before; make another one")
            if threading.active_count() > 1:
                others = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
                _log.warning(
                    "expected no other thread where the prefork pool starts, got %s: what locks they hold "
                    "stay locked in the pool processes; start the pool before them",
                    others,
                )
            slots = Slots(max(_MIN_SLOTS, 2 * self._options.concurrency + 8))
            server = ServerLink.launch(slots, executor, self._options)
            self._engine = engine = Engine(self._options, slots, server, self._backlog, listener)
            engine.start()
        atexit.register(self._stop_at_exit)
        reason = engine.started.get()
        if self._is_stopped:
            reason = reason or "the pool was stopped while it started"
        if reason is not None:
            self.stop(drain=False, timeout_s=None)
            raise UmbelError(f"the prefork pool did not start: {reason}")

    def submit(self, jobs: Sequence[Job]) -> None:
        self._backlog.incoming.extend(jobs)
        if self._engine is not None:
            self._engine.hand_out()

    def room(self) -> int:
        if self._engine is None:
            return 0
        # Reads figures that the pool's thread changes meanwhile: an estimate either way.
        children = list(self._engine.crew.children.values())
        return room(children, self._backlog, time.monotonic_ns())

    def terminate(self, job_id: int, signal: str = "SIGTERM") -> bool:
        name = signal.upper() if signal.upper().startswith("SIG") else f"SIG{signal.upper()}"
        known = [member.name for member in signals.Signals]
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"expected the name of a signal, got {signal!r}{hint}")
        engine = self._engine
        return False if engine is None else engine.ask(lambda: engine.terminate(job_id, name))

    def resize(self, concurrency: int) -> None:
        engine = self._engine
        if engine is None:
            raise RuntimeError("expected a started pool to resize; set the concurrency in its options instead")
        engine.ask(lambda: engine.crew.resize(concurrency))

    def withdraw(self, job_ids: Sequence[int]) -> Sequence[int]:
        engine = self._engine
        if engine is None:
            return ()
        return engine.ask(lambda: [job_id for job_id in job_ids if self._backlog.drop(job_id)])

    def stop(self, drain: bool, timeout_s: float | None) -> Sequence[int]:
        with self._lifecycle:
            self._is_stopped = True
            engine = self._engine
        if engine is None:
            return self._backlog.clear()
        unstarted = engine.stop(drain, timeout_s)
        atexit.unregister(self._stop_at_exit)
        return unstarted

    def running(self) -> Sequence[RunningJob]:
        engine = self._engine
        if engine is None:
            return ()
        now, now_ns = time.time(), time.monotonic_ns()
        jobs = [(child.pid, child.slot.running()) for child in list(engine.crew.children.values())]
        return [RunningJob(job[0], now - (now_ns - job[1]) / 1e9, pid) for pid, job in jobs if job is not None]

    def describe(self) -> Mapping[str, Any]:
        options = self._options
        figures: dict[str, Any] = {
            "implementation": f"{type(self).__module__.partition('.')[0]}:{type(self).__name__}",
            "max-concurrency": options.concurrency,
            "processes": [],
            "max-tasks-per-child": options.max_tasks_per_child or "N/A",
            "max-memory-per-child": options.max_memory_per_child_kib or "N/A",
        }
        engine = self._engine
        if engine is None:
            return figures
        children = list(engine.crew.children.values())
        figures["max-concurrency"] = engine.crew.wanted
        figures["processes"] = [child.pid for child in children if child.pid]
        figures["server"] = engine.crew.server.pid
        figures["substitute"] = engine.crew.server.substitute_pid
        figures["waiting"] = len(self._backlog)
        figures["running"] = {child.pid: len(child.outstanding) for child in children}
        figures["done"] = {child.pid: child.jobs_done for child in children}
        return figures

    def _stop_at_exit(self) -> None:
        # Before billiard's own handler, which would wait for the server for ever.
        self.stop(drain=False, timeout_s=None)
