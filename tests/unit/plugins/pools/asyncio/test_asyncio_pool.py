"""What is particular to the asyncio pool."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from umbel.spi import PoolOptions
from umbel.testing._pools.script import ScriptedExecutor, call
from umbel.testing._pools.stage import Ears, Gate, Running
from umbel_pool_asyncio import AsyncioPool


@contextlib.contextmanager
def started(concurrency: int) -> Iterator[Running]:
    pool = AsyncioPool(PoolOptions(concurrency=concurrency))
    ears = Ears()
    pool.start(ScriptedExecutor(), ears)
    try:
        yield Running(pool, ears)
    finally:
        pool.stop(drain=False, timeout_s=None)


def test_coroutines_run_at_once() -> None:
    """None of them ends before all are there."""
    with started(50) as running:
        assert running.run(*[call("async_meet", 50)] * 50) == [b"met"] * 50


def test_a_blocking_job_blocks_no_coroutine(tmp_path: Path) -> None:
    gate = Gate(tmp_path, "gate")
    with started(3) as running:
        [blocking] = running.submit(gate.payload())
        gate.arrived()
        assert running.run(*[call("async_echo", b"on")] * 20) == [b"on"] * 20
        gate.open()
        running.ears.until_ended(blocking)
    gate.close()


def test_a_coroutine_is_terminated_by_cancelling_it() -> None:
    with started(2) as running:
        [job_id] = running.submit(call("async_sleep", 3600))
        running.ears.until(lambda: running.pool.describe()["running"] == 1)
        assert running.pool.terminate(job_id) is True
        running.ears.until_ended(job_id)
        assert running.ears.reports[job_id] == ("terminated", "SIGTERM")
        assert running.run(call("async_echo", b"on")) == [b"on"]


def test_a_coroutine_over_its_hard_limit_is_cancelled() -> None:
    with started(1) as running:
        [job_id] = running.submit(call("async_sleep", 3600), time_limit_s=0.05)
        running.ears.until_ended(job_id)
        assert running.ears.reports[job_id] == ("timed_out", 0.05)


def test_stopping_cuts_coroutines_off() -> None:
    with started(2) as running:
        ids = running.submit(*[call("async_sleep", 3600)] * 5)
        running.ears.until(lambda: running.pool.describe()["running"] == 2)
        assert sorted(running.pool.stop(drain=False, timeout_s=None)) == ids
        assert not running.ears.ends
