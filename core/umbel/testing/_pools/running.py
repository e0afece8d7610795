"""Jobs run, in order, once, whatever their size."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from umbel.spi import Pool
from umbel.testing._pools.script import call
from umbel.testing._pools.stage import Ears, Gate, PoolStage, Running
from umbel.testing.capabilities import needs

__all__ = ["RunningTests"]

MIB = 1024 * 1024


class _Rude(Ears):
    """Raises after each report that it took."""

    def finished(self, outcomes: Any) -> None:
        super().finished(outcomes)
        raise RuntimeError("a rude listener")

    def room_changed(self) -> None:
        super().room_changed()
        raise RuntimeError("a rude listener")


class RunningTests(PoolStage):
    """What every pool does."""

    def test_a_job_gives_its_outcome(self, start: Callable[..., Running]) -> None:
        assert start().run(call("echo", b"hello")) == [b"hello"]

    def test_an_outcome_may_be_empty(self, start: Callable[..., Running]) -> None:
        assert start().run(call("echo", b"")) == [b""]

    def test_many_jobs_end_once_each(self, start: Callable[..., Running]) -> None:
        running = start()
        payloads = [call("echo", str(number).encode()) for number in range(3000)]
        assert running.run(*payloads, name="quick") == [str(number).encode() for number in range(3000)]
        assert set(running.ears.ends.values()) == {1}

    def test_one_worker_runs_in_order(self, start: Callable[..., Running]) -> None:
        running = start(concurrency=1)
        ids = [job_id for _ in range(10) for job_id in running.submit(*[call("echo", b"")] * 50, name="quick")]
        running.ears.until_ended(*ids)
        assert running.ears.order == ids

    @pytest.mark.parametrize(("size", "count"), [(64 * 1024, 60), (1 * MIB, 12), (24 * MIB, 2)])
    def test_large_payloads_go_both_ways_at_once(self, start: Callable[..., Running], size: int, count: int) -> None:
        running = start()
        running.run(*[call("echo", b"warm")] * 4, name="large")
        data = bytes(range(256)) * (size // 256)
        assert all(outcome == data for outcome in running.run(*[call("echo", data)] * count, name="large"))

    def test_a_listener_that_raises_is_tolerated(
        self, start: Callable[..., Running], caplog: pytest.LogCaptureFixture
    ) -> None:
        """[B1005] Exceptions in callbacks are logged, and nothing else."""
        with caplog.at_level(logging.CRITICAL + 1):
            running = start(ears=_Rude())
            assert running.run(*[call("echo", b"x")] * 50) == [b"x"] * 50
            assert running.run(call("echo", b"y")) == [b"y"]

    def test_as_many_run_at_once_as_there_are_workers(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start(concurrency=3)
        count = running.concurrency
        ids = running.submit(*[gate.payload()] * count)
        gate.arrived(count)
        gate.open(count)
        running.ears.until_ended(*ids)

    def test_a_long_job_hides_no_short_one(self, start: Callable[..., Running], gate: Gate) -> None:
        """Even when nothing said that it would be long."""
        running = start()
        running.need_two()
        running.run(*[call("echo", b"")] * 200, name="task")
        ids = running.submit(*[call("echo", b"")] * 20, gate.payload(), *[call("echo", b"")] * 100, name="task")
        running.ears.until_ended(*(job_id for job_id in ids if job_id != ids[20]))
        assert not running.ears.ends[ids[20]]
        gate.open()
        running.ears.until_ended(ids[20])

    def test_a_long_job_does_not_keep_the_outcomes_before_it(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start(concurrency=1)
        running.run(*[call("echo", b"")] * 200, name="task")
        ids = running.submit(*[call("echo", b"")] * 20, gate.payload(), name="task")
        running.ears.until_ended(*ids[:20])
        gate.open()
        running.ears.until_ended(ids[20])

    def test_room_is_the_free_workers_while_nothing_is_known(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start()
        count = running.concurrency
        assert running.pool.room() == count
        ids = running.submit(*[gate.payload()] * count)
        gate.arrived(count)
        assert running.pool.room() == 0
        gate.open(count)
        running.ears.until_ended(*ids)
        running.ears.until(lambda: running.pool.room() >= count)

    def test_quick_jobs_make_room_for_more(self, start: Callable[..., Running]) -> None:
        running = start()
        running.run(*[call("echo", b"")] * 500, name="quick")
        running.ears.until(lambda: running.pool.room() > running.concurrency)
        assert running.pool.room() <= 1000

    def test_a_crash_of_the_executor_costs_one_job(self, start: Callable[..., Running]) -> None:
        running = start()
        [crashed] = running.submit(call("crash", "the reason"))
        running.ears.until_ended(crashed)
        assert running.ears.reports[crashed][0] == "lost"
        assert "Crash: the reason" in running.ears.reports[crashed][1]
        assert running.run(call("echo", b"on")) == [b"on"]

    def test_what_has_not_started_is_taken_back(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start(concurrency=1)
        if type(running.pool).withdraw is Pool.withdraw:
            pytest.skip(f"{type(running.pool).__name__} takes nothing back")
        first, second, third = running.submit(gate.payload(), call("echo", b"2"), call("echo", b"3"))
        gate.arrived()
        assert list(running.pool.withdraw([first, second])) == [second]
        assert list(running.pool.withdraw([second, 10**9])) == []
        gate.open()
        running.ears.until_ended(first, third)
        assert second not in running.ears.reports

    def test_what_runs_is_told(self, start: Callable[..., Running], gate: Gate) -> None:
        """[B209] since when it runs, and in which process."""
        running = start(concurrency=1)
        if type(running.pool).running is Pool.running:
            pytest.skip(f"{type(running.pool).__name__} cannot tell what runs")
        before = time.time()
        first, second = running.submit(gate.payload(), gate.payload())
        gate.arrived()
        [job] = running.pool.running()
        assert job.job_id == first
        assert before - 0.1 <= job.started_at <= time.time() + 0.1
        assert job.pid in running.pool.describe().get("processes", [os.getpid()])
        gate.open()
        gate.arrived()
        running.ears.until(lambda: [job.job_id for job in running.pool.running()] == [second])
        gate.open()
        running.ears.until_ended(first, second)
        running.ears.until(lambda: not running.pool.running())

    def test_describe_is_plain_data(self, start: Callable[..., Running]) -> None:
        running = start()
        figures = running.pool.describe()
        assert figures["max-concurrency"] == running.concurrency
        assert isinstance(figures["implementation"], str)

    @needs("runs_coroutines")
    def test_coroutine_tasks_run(self, start: Callable[..., Running]) -> None:
        assert start().run(*[call("async_echo", b"async")] * 20) == [b"async"] * 20

    @needs("runs_coroutines")
    def test_coroutine_and_plain_tasks_mix(self, start: Callable[..., Running]) -> None:
        payloads = [call("async_echo", b"a"), call("echo", b"b")] * 50
        assert start().run(*payloads) == [b"a", b"b"] * 50

    def test_an_idle_pool_is_quick_to_answer(self, start: Callable[..., Running], tmp_path: Path) -> None:
        """A generous bound: it catches a poll, not a slow machine."""
        running = start()
        running.run(call("echo", b""), name="quick")
        best = min(_timed(lambda: running.run(call("echo", b""), name="quick")) for _ in range(50))
        assert best < 0.01


def _timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
