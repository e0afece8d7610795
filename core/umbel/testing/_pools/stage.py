"""The stage of the pool suite: pools by name, a listener that remembers, pipes to hold jobs and let them go."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from umbel.host import Host
from umbel.spi import Job, Pool, PoolCapabilities, PoolOptions
from umbel.testing._pools.script import ScriptedExecutor, call
from umbel.testing.capabilities import skip_undeclared

__all__ = ["Ears", "Gate", "PoolStage", "Running", "make_pool"]

_DEADLINE_S = 20.0
_host = Host()


def make_pool(name: str, options: PoolOptions) -> Pool:
    """Return the pool that the installed plugin *name* makes, not started."""
    return _host.pool(None, name, options)


class Ears:
    """A listener that remembers all it hears, and counts how often each job ended."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.outcomes: dict[int, bytes] = {}
        self.order: list[int] = []
        self.ends: Counter[int] = Counter()
        self.reports: dict[int, tuple[str, Any]] = {}
        self.soft: list[tuple[int, float]] = []
        self.failures: list[str] = []

    def finished(self, outcomes: Sequence[tuple[int, bytes]]) -> None:
        with self._changed:
            for job_id, outcome in outcomes:
                self.outcomes[job_id] = outcome
                self.order.append(job_id)
                self.ends[job_id] += 1
            self._changed.notify_all()

    def lost(self, job_id: int, reason: str) -> None:
        self._end("lost", job_id, reason)

    def timed_out(self, job_id: int, limit_s: float) -> None:
        self._end("timed_out", job_id, limit_s)

    def terminated(self, job_id: int, signal: str) -> None:
        self._end("terminated", job_id, signal)

    def _end(self, kind: str, job_id: int, data: Any) -> None:
        with self._changed:
            self.reports[job_id] = (kind, data)
            self.ends[job_id] += 1
            self._changed.notify_all()

    def soft_timed_out(self, job_id: int, limit_s: float) -> None:
        with self._changed:
            self.soft.append((job_id, limit_s))
            self._changed.notify_all()

    def room_changed(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def failed(self, reason: str) -> None:
        with self._changed:
            self.failures.append(reason)
            self._changed.notify_all()

    def until(self, holds: Callable[[], bool], timeout_s: float = _DEADLINE_S) -> None:
        """Wait until *holds*, looked at whenever something was heard; fail with what was heard when it never does."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not holds():
                left = deadline - time.monotonic()
                # Some conditions (a process is gone) change unheard: look at them now and then as well.
                self._changed.wait(min(left, 0.05))
                assert left > 0, f"not within {timeout_s:g} s; heard {self!r}"

    def until_ended(self, *job_ids: int) -> None:
        """Wait until each of these jobs ended, one way or the other."""
        self.until(lambda: all(self.ends[job_id] for job_id in job_ids))

    def __repr__(self) -> str:
        ended = {job_id: outcome[:40] for job_id, outcome in list(self.outcomes.items())[-20:]}
        return f"outcomes={ended} reports={self.reports} soft={self.soft} failures={self.failures}"


class Gate:
    """Holds jobs: each says when it is there, and stays until it is let through."""

    def __init__(self, folder: Path, name: str) -> None:
        self.mark, self.gate = str(folder / f"{name}.mark"), str(folder / f"{name}.gate")
        os.mkfifo(self.mark)
        os.mkfifo(self.gate)
        self._mark = os.open(self.mark, os.O_RDWR)
        self._gate = os.open(self.gate, os.O_RDWR)

    def payload(self, operation: str = "wait") -> bytes:
        """Return the payload of a job that stops here."""
        return call(operation, self.mark, self.gate)

    def arrived(self, count: int = 1) -> None:
        """Wait until *count* more jobs are here."""
        for _ in range(count):
            ready, _, _ = select.select([self._mark], [], [], _DEADLINE_S)
            assert ready, "the job never started"
            os.read(self._mark, 1)

    def open(self, count: int = 1) -> None:
        """Let *count* jobs through."""
        os.write(self._gate, b"g" * count)

    def close(self) -> None:
        self.open(100)  # whoever is still here
        os.close(self._mark)
        os.close(self._gate)


class Running:
    """A started pool with its ears."""

    def __init__(self, pool: Pool, ears: Ears) -> None:
        self.pool = pool
        self.ears = ears
        self._ids = itertools.count(0)

    def submit(self, *payloads: bytes, name: str = "", **limits: float) -> list[int]:
        """Submit one job a payload, together; return their ids."""
        jobs = [Job(id=next(self._ids), payload=payload, name=name, **limits) for payload in payloads]
        self.pool.submit(jobs)
        return [job.id for job in jobs]

    def run(self, *payloads: bytes, name: str = "") -> list[bytes]:
        """Submit, wait for the ends, and return the outcomes in the order of the payloads."""
        ids = self.submit(*payloads, name=name)
        self.ears.until_ended(*ids)
        assert not [self.ears.reports[job_id] for job_id in ids if job_id in self.ears.reports]
        return [self.ears.outcomes[job_id] for job_id in ids]

    @property
    def concurrency(self) -> int:
        return int(self.pool.describe()["max-concurrency"])

    def need_two(self) -> None:
        """Skip the test where the pool runs one job at a time."""
        if self.concurrency < 2:
            pytest.skip("runs one job at a time")


class PoolStage:
    """What every part of the suite stands on."""

    @pytest.fixture
    def pool_name(self) -> str:
        """Return the entry-point name of the pool; given by the author."""
        raise NotImplementedError("expected a fixture pool_name that returns the pool's entry-point name")

    @pytest.fixture
    def capabilities(self, pool_name: str, request: pytest.FixtureRequest) -> PoolCapabilities:
        """Return what the pool declares, and skip what it does not."""
        declared = type(make_pool(pool_name, PoolOptions(concurrency=1))).capabilities
        skip_undeclared(request.function, declared, f"the pool {pool_name!r}", self, PoolStage)
        return declared

    @pytest.fixture(autouse=True)
    def _declared(self, capabilities: PoolCapabilities) -> None:
        """Apply the skips to tests that do not ask for the capabilities."""

    @pytest.fixture
    def start(self, pool_name: str, tmp_path: Path, capabilities: PoolCapabilities) -> Iterator[Callable[..., Running]]:
        """Return a function that makes and starts a pool; what is started is stopped after the test."""
        started: list[Running] = []

        def starter(concurrency: int = 2, executor: Any = None, ears: Any = None, **options: Any) -> Running:
            pool = make_pool(pool_name, PoolOptions(concurrency=concurrency, **options))
            running = Running(pool, ears or Ears())
            started.append(running)
            pool.start(executor or ScriptedExecutor(), running.ears)
            return running

        yield starter
        for running in started:
            running.pool.stop(drain=False, timeout_s=None)
            repeated = {job_id: count for job_id, count in running.ears.ends.items() if count != 1}
            assert not repeated, f"expected each job to end once, got {repeated}"

    @pytest.fixture
    def gate(self, tmp_path: Path) -> Iterator[Gate]:
        """Return a gate that no job passes until the test opens it."""
        gate = Gate(tmp_path, "gate")
        yield gate
        with contextlib.suppress(BlockingIOError):
            gate.close()
