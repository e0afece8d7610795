"""What is particular to the prefork pool; what every pool does is in the conformance suite."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel.spi import PoolOptions
from umbel.testing._pools.script import ScriptedExecutor, call
from umbel.testing._pools.stage import Ears, Gate, Running
from umbel_pool_prefork import PreforkPool
from umbel_pool_prefork._process import describe_exit


@contextlib.contextmanager
def started(concurrency: int = 2, executor: ScriptedExecutor | None = None) -> Iterator[Running]:
    pool = PreforkPool(PoolOptions(concurrency=concurrency))
    ears = Ears()
    pool.start(executor or ScriptedExecutor(), ears)
    try:
        yield Running(pool, ears)
    finally:
        pool.stop(drain=False, timeout_s=None)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    one = Gate(tmp_path, "gate")
    yield one
    one.close()


def test_another_server_takes_over_from_a_dead_one(gate: Gate) -> None:
    """The job that ran is lost, what waited is run, again and again, and there is always a substitute."""
    with started() as running:
        for _ in range(3):
            running.ears.until(lambda: bool(running.pool.describe()["substitute"]))
            before = running.pool.describe()
            [job_id] = running.submit(gate.payload(), name="gate")
            gate.arrived()
            echoes = running.submit(*[call("echo", b"on")] * 50, name="echo")
            os.kill(before["server"], signal.SIGKILL)
            running.ears.until_ended(job_id, *echoes)
            kind, reason = running.ears.reports.pop(job_id)
            assert kind == "lost"
            assert "died with the pool's server process" in reason
            assert running.pool.describe()["server"] == before["substitute"]
            # One that had nothing to do is buried when its socket ends, which may come after the last outcome.
            running.ears.until(
                lambda dead=set(before["processes"]): not dead & set(running.pool.describe()["processes"])  # type: ignore[misc]
            )
        assert not running.ears.reports, "only what ran was lost"
        assert not running.ears.failures


def test_a_substitute_that_dies_is_replaced() -> None:
    with started() as running:
        before = running.pool.describe()
        for _ in range(2):
            running.ears.until(lambda: bool(running.pool.describe()["substitute"]))
            before = running.pool.describe()
            os.kill(before["substitute"], signal.SIGKILL)
            running.ears.until(
                lambda dead=before["substitute"]: running.pool.describe()["substitute"] not in (0, dead)  # type: ignore[misc]
            )
        os.kill(before["server"], signal.SIGKILL)
        assert running.run(*[call("echo", b"on")] * 50) == [b"on"] * 50


def test_a_server_killed_under_load_costs_only_what_ran(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    with started() as running:
        for _ in range(5):
            running.ears.until(lambda: bool(running.pool.describe()["substitute"]))
            before = running.pool.describe()
            ids = running.submit(*[call("tick", str(ticks), "t")] * 500, name="tick")
            running.ears.until_ended(ids[20])
            os.kill(before["server"], signal.SIGKILL)
            running.ears.until_ended(*ids)
            # The jobs may end before the death is seen: the next kill is for the substitute, not for both at once.
            running.ears.until(
                lambda pid=before["substitute"]: running.pool.describe()["server"] == pid  # type: ignore[misc]
            )
        assert set(running.ears.ends.values()) == {1}
        lost = len(running.ears.reports)
        assert lost <= 2 * 5
        assert len(ticks.read_text().splitlines()) >= 5 * 500 - lost


def test_the_death_of_both_servers_is_told(gate: Gate) -> None:
    with started() as running:
        [job_id] = running.submit(gate.payload())
        gate.arrived()
        running.ears.until(lambda: bool(running.pool.describe()["substitute"]))
        servers = running.pool.describe()
        os.kill(servers["server"], signal.SIGSTOP)  # it cannot be asked for another substitute
        os.kill(servers["substitute"], signal.SIGKILL)
        os.kill(servers["server"], signal.SIGKILL)
        running.ears.until(lambda: bool(running.ears.failures))
        assert "server process" in running.ears.failures[0]
        running.ears.until_ended(job_id)
        assert running.ears.reports[job_id][0] == "lost"
        [waiting] = running.submit(call("echo", b""))
        assert list(running.pool.stop(drain=True, timeout_s=None)) == [waiting]


def test_the_children_die_with_the_server(gate: Gate) -> None:
    with started() as running:
        running.submit(gate.payload())
        gate.arrived()
        watched = [os.pidfd_open(pid) for pid in running.pool.describe()["processes"]]
        os.kill(running.pool.describe()["server"], signal.SIGKILL)
        for descriptor in watched:
            assert select.select([descriptor], [], [], 10)[0], "a child outlives the server"
            os.close(descriptor)


def test_the_server_outlives_signals_to_the_group(gate: Gate) -> None:
    """Whether a Ctrl-C ends the worker is for the parent to judge."""
    with started() as running:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            os.kill(running.pool.describe()["server"], number)
        running.submit(call("exit", 1))  # a successor must be forked
        assert running.run(*[call("echo", b"on")] * 50) == [b"on"] * 50


class Stillborn(ScriptedExecutor):
    """Dies at the birth of each process but the first two."""

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._births = journal

    def enter_process(self) -> None:
        super().enter_process()
        if len(self._births.read_text().splitlines()) > 2:
            os._exit(9)


def test_processes_that_die_at_start_again_and_again_stop_the_pool(tmp_path: Path) -> None:
    """No storm of forks, and a reason that says what happened."""
    journal = tmp_path / "births"
    with started(executor=Stillborn(journal)) as running:
        running.submit(call("exit", 1))
        running.ears.until(lambda: bool(running.ears.failures))
        assert "exit code 9" in running.ears.failures[0]
    assert len(journal.read_text().splitlines()) <= 2 + 5


def test_outcomes_not_yet_sent_survive_a_crash(tmp_path: Path) -> None:
    """[B991] The quick jobs before a crash in the same batch are finished, not lost and not repeated."""
    ticks = tmp_path / "ticks"
    with started(concurrency=1) as running:
        running.run(*[call("echo", b"")] * 300, name="q")
        for _ in range(20):
            ids = running.submit(*[call("tick", str(ticks), "t")] * 8, call("kill", 9), name="q")
            running.ears.until_ended(*ids)
            assert [job_id for job_id in ids if job_id in running.ears.reports] == ids[-1:]
    assert len(ticks.read_text().splitlines()) == 20 * 8


def test_terminating_with_sigusr1_raises_the_soft_limit(gate: Gate) -> None:
    with started() as running:
        [job_id] = running.submit(gate.payload())
        gate.arrived()
        assert running.pool.terminate(job_id, "SIGUSR1") is True
        running.ears.until_ended(job_id)
        assert running.ears.outcomes[job_id] == b"soft"


def test_a_dead_pool_leaves_no_zombie() -> None:
    """[B995]"""
    with started() as running:
        running.submit(call("exit", 1), call("exit", 1))
        running.run(call("echo", b""))
    try:
        zombie, _ = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:  # no children at all; 0 are living ones of other tests
        zombie = 0
    assert zombie == 0


def test_binary_output_harms_nothing() -> None:
    with started() as running:
        assert running.run(call("noise")) == [b"noisy"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(3, "exit code 3"), (-9, "SIGKILL, maybe out of memory"), (-11, "SIGSEGV"), (-200, "signal 200")],
)
def test_exits_are_described(code: int, words: str) -> None:
    assert words in describe_exit(code)


def test_resizing_beyond_the_mapped_memory_is_refused() -> None:
    with started() as running, pytest.raises(ValueError, match="1 to 256"):
        running.pool.resize(100_000)
