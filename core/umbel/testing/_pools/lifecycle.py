"""Growing, shrinking and stopping, from every state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import pytest

from umbel.spi import Job, PoolOptions
from umbel.testing._pools.script import ScriptedExecutor, call
from umbel.testing._pools.stage import Ears, Gate, PoolStage, Running, make_pool
from umbel.testing.capabilities import needs

__all__ = ["LifecycleTests"]


class LifecycleTests(PoolStage):
    """What holds for start, resize and stop."""

    # -- resize -------------------------------------------------------------------------------------------------------

    @needs("resize")
    def test_a_grown_pool_runs_more_at_once(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start(concurrency=1)
        running.pool.resize(4)
        ids = running.submit(*[gate.payload()] * 4)
        gate.arrived(4)
        gate.open(4)
        running.ears.until_ended(*ids)
        assert running.concurrency == 4

    @needs("resize")
    def test_a_shrunk_pool_finishes_what_runs(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start(concurrency=3)
        ids = running.submit(*[gate.payload()] * 3)
        gate.arrived(3)
        running.pool.resize(1)
        gate.open(3)
        running.ears.until_ended(*ids)
        assert {running.ears.outcomes[job_id] for job_id in ids} == {b"waited"}
        assert running.concurrency == 1
        running.ears.until(lambda: len(running.pool.describe().get("processes", [1])) == 1)
        assert running.run(*[call("echo", b"on")] * 20) == [b"on"] * 20

    @needs("resize")
    def test_jobs_given_before_shrinking_still_run(self, start: Callable[..., Running]) -> None:
        running = start(concurrency=3)
        ids = running.submit(*[call("echo", b"x")] * 500, name="quick")
        running.pool.resize(1)
        running.pool.resize(2)
        running.ears.until_ended(*ids)
        assert not running.ears.reports

    @needs("resize")
    def test_no_worker_at_all_is_refused(self, start: Callable[..., Running]) -> None:
        running = start()
        with pytest.raises(Exception, match="concurrency"):
            running.pool.resize(0)

    # -- stop ---------------------------------------------------------------------------------------------------------

    def test_stop_before_start(self, pool_name: str) -> None:
        pool = make_pool(pool_name, PoolOptions(concurrency=1))
        assert list(pool.stop(drain=True, timeout_s=None)) == []
        with pytest.raises(RuntimeError, match="new pool"):
            pool.start(ScriptedExecutor(), Ears())

    def test_a_started_pool_does_not_start_again(self, start: Callable[..., Running]) -> None:
        running = start()
        with pytest.raises(RuntimeError, match="new pool"):
            running.pool.start(ScriptedExecutor(), running.ears)
        assert running.run(call("echo", b"on")) == [b"on"]

    def test_stopping_an_idle_pool(self, start: Callable[..., Running]) -> None:
        running = start()
        running.run(call("echo", b""))
        assert list(running.pool.stop(drain=True, timeout_s=None)) == []
        assert list(running.pool.stop(drain=False, timeout_s=None)) == []

    def test_draining_finishes_what_runs_and_returns_the_rest(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start()
        count = running.concurrency
        ids = running.submit(*[gate.payload()] * count)
        gate.arrived(count)
        waiting = running.submit(*[call("echo", b"")] * 5)
        stopping = _Stopping(running, drain=True, timeout_s=None)
        gate.open(count)
        assert sorted(stopping.answer()) == waiting
        assert {running.ears.outcomes[job_id] for job_id in ids} == {b"waited"}
        assert not any(running.ears.ends[job_id] for job_id in waiting)

    def test_draining_has_a_bound(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start(concurrency=1)
        [job_id] = running.submit(gate.payload())
        gate.arrived()
        [waiting] = running.submit(call("echo", b""))
        assert sorted(running.pool.stop(drain=True, timeout_s=0.1)) == [job_id, waiting]
        gate.open()
        assert not running.ears.ends

    def test_stopping_without_draining_cuts_off(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start(concurrency=1)
        [job_id] = running.submit(gate.payload())
        gate.arrived()
        waiting = running.submit(*[call("echo", b"")] * 3)
        assert sorted(running.pool.stop(drain=False, timeout_s=None)) == [job_id, *waiting]
        gate.open()
        assert not running.ears.ends

    def test_a_second_stop_cuts_the_first_short(self, start: Callable[..., Running], gate: Gate) -> None:
        running = start(concurrency=1)
        [job_id] = running.submit(gate.payload())
        gate.arrived()
        stopping = _Stopping(running, drain=True, timeout_s=None)
        assert list(running.pool.stop(drain=False, timeout_s=None)) == [job_id]
        assert list(stopping.answer()) == [job_id]

    def test_a_signal_handler_may_cut_its_own_stop_short(self, start: Callable[..., Running], gate: Gate) -> None:
        """As when a worker that drains gets its second Ctrl-C."""
        running = start(concurrency=1)
        [job_id] = running.submit(gate.payload())
        gate.arrived()
        inner: list[Sequence[int]] = []
        stopping = threading.Event()

        def on_signal(number: int, frame: object) -> None:
            inner.append(running.pool.stop(drain=False, timeout_s=None))

        def interrupt() -> None:
            stopping.wait()
            os.kill(os.getpid(), signal.SIGUSR2)

        handler = signal.signal(signal.SIGUSR2, on_signal)
        interrupting = threading.Thread(target=interrupt)
        interrupting.start()
        try:
            stopping.set()
            outer = running.pool.stop(drain=True, timeout_s=None)
            interrupting.join()
        finally:
            signal.signal(signal.SIGUSR2, handler)
        assert [list(answer) for answer in inner] == [[job_id]]
        assert list(outer) == [job_id]

    def test_submitting_while_it_stops_harms_nothing(self, start: Callable[..., Running]) -> None:
        running = start()
        jobs = [Job(id=number, payload=call("echo", b"x"), name="quick") for number in range(2000)]

        def submit() -> None:
            for position in range(0, len(jobs), 20):
                running.pool.submit(jobs[position : position + 20])

        submitting = threading.Thread(target=submit)
        submitting.start()
        running.ears.until(lambda: bool(running.ears.ends))
        running.pool.stop(drain=True, timeout_s=None)
        submitting.join()
        returned = set(running.pool.stop(drain=False, timeout_s=None))
        assert not returned & set(running.ears.ends)
        assert returned | set(running.ears.ends) == set(range(2000))

    def test_start_and_stop_under_stress(self, pool_name: str, capabilities: object) -> None:
        """[B998] [B999] In a process of its own: many pools, each stopped by several threads at odd moments."""
        rounds = 60 if getattr(capabilities, "isolates_crashes", False) else 200
        program = (
            "import sys; from umbel.testing._pools.holding import stress; stress(sys.argv[1], *map(int, sys.argv[2:]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, pool_name, str(rounds), "7"],
            timeout=50,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-4000:]


class _Stopping:
    """A call of stop() in a thread of its own."""

    def __init__(self, running: Running, *, drain: bool, timeout_s: float | None) -> None:
        self._answer: Sequence[int] = ()
        self._running = running
        self._options = (drain, timeout_s)
        self._thread = threading.Thread(target=self._stop)
        self._thread.start()

    def _stop(self) -> None:
        self._answer = self._running.pool.stop(*self._options)

    def answer(self) -> Sequence[int]:
        self._thread.join(20)
        assert not self._thread.is_alive(), "stop() hangs"
        return self._answer
