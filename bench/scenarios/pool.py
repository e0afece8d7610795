"""The prefork pool alone, with no broker, beside billiard's own pool."""

from __future__ import annotations

import threading
import time

from umbel.host import Host
from umbel.spi import Job, PoolOptions

TITLE = "pool: no-op jobs a second through two processes, no broker"
BATCH = 200
ONCE = True


class NoOp:
    """An executor whose jobs do nothing."""

    def enter_process(self):
        pass

    def leave_process(self):
        pass

    def execute(self, payload):
        return b""

    def is_coroutine(self, payload):
        return False


class Counter:
    """A listener that counts what ended, and says when there is room."""

    def __init__(self, total):
        self.left, self.done, self.room = total, threading.Event(), threading.Event()

    def finished(self, outcomes):
        self.left -= len(outcomes)
        self.room.set()
        if self.left <= 0:
            self.done.set()

    def room_changed(self):
        self.room.set()

    def lost(self, job_id, reason):
        raise SystemExit(f"the pool lost a job: {reason}")

    timed_out = soft_timed_out = terminated = failed = lost


def prefork(count):
    """Feed the pool as the worker does: by free room."""
    pool, listener = Host().pool(None, "prefork", PoolOptions(concurrency=2)), Counter(count)
    pool.start(NoOp(), listener)
    try:
        began, cpu, sent = time.perf_counter(), time.process_time(), 0
        while sent < count:
            listener.room.clear()
            free = min(pool.room(), BATCH, count - sent)
            if free > 0:
                pool.submit([Job(sent + number, b"") for number in range(free)])
                sent += free
            else:
                listener.room.wait(1)
        listener.done.wait(60)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    finally:
        pool.stop(drain=False, timeout_s=5)
    return {"system": "Umbel, prefork", "jobs/s": count / seconds, "parent CPU us": 1e6 * cpu / count}


def nothing():
    pass


def billiard_pool(count):
    import billiard

    pool = billiard.Pool(2)
    try:
        pool.apply(nothing)
        began, cpu = time.perf_counter(), time.process_time()
        for result in [pool.apply_async(nothing) for _ in range(count)]:
            result.get()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    finally:
        pool.terminate()
        pool.join()
    return {"system": "billiard.Pool", "jobs/s": count / seconds, "parent CPU us": 1e6 * cpu / count}


def run(options, broker):
    return [prefork(options.tasks * 10), billiard_pool(options.tasks // 4)], {}
