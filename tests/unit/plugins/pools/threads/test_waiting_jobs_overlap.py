from __future__ import annotations

import time

import pytest

from umbel.spi import PoolOptions
from umbel.testing._pools.script import ScriptedExecutor, call
from umbel.testing._pools.stage import Ears, Running, make_pool


@pytest.mark.parametrize(
    ("name", "operation"), [("threads", "sleep"), ("asyncio", "async_sleep"), ("asyncio", "sleep")]
)
def test_waiting_jobs_overlap(name: str, operation: str) -> None:
    """1,000 waits of 50 ms, 100 at once, take 0.5 s at best; the bound is for a machine that is busy with others."""
    ears = Ears()
    pool = make_pool(name, PoolOptions(concurrency=100))
    pool.start(ScriptedExecutor(), ears)
    try:
        running = Running(pool, ears)
        running.run(*[call(operation, 0.001)] * 200)
        started = time.perf_counter()
        running.run(*[call(operation, 0.05)] * 1000)
        elapsed = time.perf_counter() - started
    finally:
        pool.stop(drain=False, timeout_s=None)
    assert 0.5 <= elapsed < 1.0
