"""Time limits and termination."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from umbel.testing._pools.script import call
from umbel.testing._pools.stage import Gate, PoolStage, Running
from umbel.testing.capabilities import needs

__all__ = ["LimitTests"]


class LimitTests(PoolStage):
    """What a pool that declares limits or termination does."""

    @needs("hard_time_limit")
    def test_a_job_over_its_hard_limit_is_killed(self, start: Callable[..., Running], gate: Gate) -> None:
        """[B994] [B995] The pool goes on, with as many processes as before and no zombie."""
        running = start()
        old = set(running.pool.describe()["processes"])
        [job_id] = running.submit(gate.payload(), time_limit_s=0.1)
        running.ears.until_ended(job_id)
        assert running.ears.reports[job_id] == ("timed_out", 0.1)
        assert running.run(*[call("echo", b"on")] * 20) == [b"on"] * 20
        running.ears.until(lambda: len(running.pool.describe()["processes"]) == 2)
        assert len(old - set(running.pool.describe()["processes"])) == 1

    @needs("hard_time_limit")
    def test_a_limit_counts_from_the_jobs_own_start(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start(concurrency=1)
        ids = running.submit(*[call("sleep", 0.08)] * 5, time_limit_s=0.3)
        running.ears.until_ended(*ids)
        assert not running.ears.reports

    @needs("hard_time_limit")
    def test_neighbours_of_a_killed_job_run_once(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start()
        running.run(*[call("echo", b"")] * 200, name="task")
        payloads = [call("echo", b"x")] * 20
        ids = running.submit(*payloads, gate.payload(), *payloads, name="task", time_limit_s=0.1)
        running.ears.until_ended(*ids)
        assert running.ears.reports == {ids[20]: ("timed_out", 0.1)}
        assert set(running.ears.ends.values()) == {1}

    @needs("hard_time_limit")
    def test_jobs_that_end_at_their_limit_end_once(self, start: Callable[..., Running]) -> None:
        """Killed or finished, never both, and never the next job instead."""
        running = start()
        limited = running.submit(*[call("sleep", 0.02)] * 30, name="limited", time_limit_s=0.0203)
        free = running.submit(*[call("sleep", 0.02)] * 30, name="free")
        running.ears.until_ended(*limited, *free)
        assert not {job_id for job_id in free if job_id in running.ears.reports}
        assert {report[0] for report in running.ears.reports.values()} <= {"timed_out"}

    @needs("soft_time_limit")
    def test_a_job_over_its_soft_limit_is_told(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start()
        [job_id] = running.submit(gate.payload(), soft_time_limit_s=0.1)
        running.ears.until_ended(job_id)
        assert running.ears.outcomes[job_id] == b"soft"
        assert running.ears.soft == [(job_id, 0.1)]

    @needs("soft_time_limit", "hard_time_limit")
    def test_the_hard_limit_follows_the_soft_one(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start(concurrency=1)
        [job_id] = running.submit(call("kill", int(signal.SIGCONT)), soft_time_limit_s=0.05, time_limit_s=0.2)
        running.ears.until_ended(job_id)
        assert running.ears.soft == [(job_id, 0.05)]

    @needs("soft_time_limit")
    def test_the_soft_limit_hits_no_other_job(self, start: Callable[..., Running]) -> None:
        """Jobs that end at their very limit: told or not, but the job after each is never told in its place."""
        running = start()
        ids = []
        for _ in range(40):
            ids += running.submit(call("sleep", 0.01), name="limited", soft_time_limit_s=0.0101)
            ids += running.submit(call("sleep", 0.005), name="free")
        running.ears.until_ended(*ids)
        assert {running.ears.outcomes[job_id] for job_id in ids[1::2]} == {b"slept"}
        assert {job_id for job_id, _ in running.ears.soft} <= set(ids[::2])

    @needs("terminate")
    def test_a_running_job_is_terminated(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start()
        [job_id] = running.submit(gate.payload())
        gate.arrived()
        assert running.pool.terminate(job_id) is True
        running.ears.until_ended(job_id)
        assert running.ears.reports[job_id] == ("terminated", "SIGTERM")
        assert running.run(*[call("echo", b"on")] * 10) == [b"on"] * 10

    @needs("terminate")
    def test_a_job_that_ignores_the_signal_is_killed_in_the_end(
        self, start: Callable[..., Running], gate: Gate
    ) -> None:
        running = start(lost_wait_s=0.2)
        [job_id] = running.submit(gate.payload("stubborn"))
        gate.arrived()
        assert running.pool.terminate(job_id, "TERM") is True
        running.ears.until_ended(job_id)
        assert running.ears.reports[job_id] == ("terminated", "SIGTERM")

    def test_a_job_that_has_not_started_is_dropped(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start(concurrency=1)
        [first] = running.submit(gate.payload())
        gate.arrived()
        [second] = running.submit(call("echo", b""))
        assert running.pool.terminate(second) is False
        running.ears.until_ended(second)
        assert running.ears.reports[second] == ("terminated", "SIGTERM")
        gate.open()
        running.ears.until_ended(first)

    @needs("terminate")
    def test_a_job_hidden_behind_a_long_one_is_dropped(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start(concurrency=1)
        running.run(*[call("echo", b"")] * 200, name="task")
        first, second, third = running.submit(gate.payload(), call("echo", b""), call("echo", b"third"), name="task")
        gate.arrived()
        running.pool.terminate(second)
        running.ears.until_ended(second)
        assert running.ears.reports[second] == ("terminated", "SIGTERM")
        gate.open()
        running.ears.until_ended(first, third)
        assert running.ears.outcomes[third] == b"third"

    def test_an_unknown_job_is_not_terminated(self, start: Callable[..., Running]) -> None:
        running = start()
        assert running.pool.terminate(12345) is False

    @needs("terminate")
    def test_an_unknown_signal_is_refused(self, start: Callable[..., Running]) -> None:
        running = start()
        with pytest.raises(ValueError, match="did you mean SIGTERM"):
            running.pool.terminate(1, "SIGTREM")
