"""Programs that the suite runs in processes of their own, where a fork meets no thread of pytest."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Sequence

from umbel.exceptions import UmbelError
from umbel.spi import Job, PoolOptions
from umbel.testing._pools.script import ScriptedExecutor, call
from umbel.testing._pools.stage import Ears, make_pool

__all__ = ["forget", "hold", "stress"]


def hold(name: str, mark: str, gate: str) -> None:
    """Run a job that never ends, and be killed meanwhile."""
    ears = Ears()
    pool = make_pool(name, PoolOptions(concurrency=2))
    pool.start(ScriptedExecutor(), ears)
    pool.submit([Job(id=1, payload=call("wait", mark, gate))])
    ears.until(lambda: False, timeout_s=60)


def forget(name: str) -> None:
    """Leave a started pool to the interpreter's exit."""
    ears = Ears()
    pool = make_pool(name, PoolOptions(concurrency=2))
    pool.start(ScriptedExecutor(), ears)
    pool.submit([Job(id=1, payload=call("echo", b""))])
    ears.until_ended(1)


def stress(name: str, rounds: int, seed: int) -> None:
    """Start pools and stop each from several threads at odd moments; check that every job is accounted for once."""
    chance = random.Random(seed)
    descriptors = -1
    for number in range(rounds):
        _one_round(name, chance)
        if number == 2:  # what is opened once is open by now
            descriptors = len(os.listdir("/proc/self/fd"))
    deadline = time.monotonic() + 10
    while threading.active_count() > 1 or len(os.listdir("/proc/self/fd")) > descriptors:
        threads = [thread.name for thread in threading.enumerate()]
        count = len(os.listdir("/proc/self/fd"))
        assert time.monotonic() < deadline, f"left over: {threads}, {count} descriptors instead of {descriptors}"
        threading.Event().wait(0.01)
    try:
        left = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return
    raise AssertionError(f"expected no child process to be left, got {left}")


def _one_round(name: str, chance: random.Random) -> None:
    ears = Ears()
    pool = make_pool(name, PoolOptions(concurrency=chance.choice([1, 1, 2])))
    jobs = [Job(id=number, payload=call("echo", b"x"), name="quick") for number in range(chance.choice([0, 5, 300]))]
    answers: list[Sequence[int]] = []
    starting = threading.Event()

    def stop(delay_s: float, drain: bool) -> None:
        starting.wait()
        threading.Event().wait(delay_s)
        answers.append(pool.stop(drain, chance.choice([None, 5.0])))

    delays = [chance.random() * 0.03 for _ in range(chance.choice([1, 2, 3]))]
    stoppers = [threading.Thread(target=stop, args=(delay, chance.random() < 0.5)) for delay in delays]
    for stopper in stoppers:
        stopper.start()
    pool.submit(jobs[: len(jobs) // 2])
    starting.set()
    try:
        pool.start(ScriptedExecutor(), ears)
    except (UmbelError, RuntimeError):  # stopped before or while it started
        pass
    else:
        pool.submit(jobs[len(jobs) // 2 :])
    for stopper in stoppers:
        stopper.join(20)
        assert not stopper.is_alive(), "stop() hangs"
    answers.append(pool.stop(drain=False, timeout_s=None))
    unstarted = set(answers[-1])
    known = {job.id for job in jobs if job.id in ears.ends or job.id in unstarted}
    assert max(ears.ends.values(), default=1) == 1, f"ended twice: {ears!r}"
    assert not unstarted & set(ears.ends), f"reported and returned: {unstarted & set(ears.ends)}"
    expected = {job.id for job in jobs[: len(jobs) // 2]}
    assert expected <= known, f"neither reported nor returned: {expected - known}"
