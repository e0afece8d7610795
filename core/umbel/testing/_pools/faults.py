"""Processes that crash, are killed, leak, or lose their parent."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from umbel.exceptions import UmbelError
from umbel.spi import PoolOptions
from umbel.testing._pools.script import ScriptedExecutor, call
from umbel.testing._pools.stage import Ears, Gate, PoolStage, Running, make_pool
from umbel.testing.capabilities import needs

__all__ = ["FaultTests"]

_GONE_S = 20.0


class FaultTests(PoolStage):
    """What a pool that isolates crashes does with them, and what no pool may leave behind."""

    @needs("isolates_crashes")
    @pytest.mark.parametrize(
        ("payload", "word"),
        [
            (call("exit", 3), "exit code 3"),
            (call("exit", 0), "exit code 0"),
            (call("kill", int(signal.SIGKILL)), "SIGKILL"),
            (call("segfault"), "SIGSEGV"),
            (call("close_all"), ""),
            (call("fork_and_return"), None),
        ],
        ids=["exit", "exit-0", "kill", "segfault", "closes-all-files", "forks"],
    )
    def test_a_crash_costs_the_job_that_crashed(
        self, start: Callable[..., Running], tmp_path: Path, payload: bytes, word: str | None
    ) -> None:
        """[B990] [B991] [B1002] Its neighbours run once each; the process is replaced."""
        ticks = str(tmp_path / "ticks")
        running = start(lost_wait_s=1.0)
        running.run(*[call("echo", b"")] * 200, name="task")
        before = [call("tick", ticks, f"a{number}") for number in range(40)]
        after = [call("tick", ticks, f"b{number}") for number in range(40)]
        ids = running.submit(*before, payload, *after, name="task")
        running.ears.until_ended(*ids)
        victim = ids[40]
        if word is not None:
            assert running.ears.reports.pop(victim)[0] == "lost"
        assert not running.ears.reports
        lines = Counter((tmp_path / "ticks").read_text().split())
        assert lines == Counter([f"{letter}{number}" for letter in "ab" for number in range(40)])
        assert running.run(*[call("echo", b"on")] * 20) == [b"on"] * 20

    @needs("isolates_crashes")
    @pytest.mark.parametrize(
        ("payload", "word"),
        [(call("exit", 3), "exit code 3"), (call("kill", 9), "SIGKILL"), (call("segfault"), "SIGSEGV")],
        ids=["exit", "kill", "segfault"],
    )
    def test_the_reason_is_in_words(self, start: Callable[..., Running], payload: bytes, word: str) -> None:
        running = start(concurrency=1)
        [job_id] = running.submit(payload)
        running.ears.until_ended(job_id)
        assert word in running.ears.reports[job_id][1]

    @needs("isolates_crashes")
    def test_many_crashes_lose_nothing_else(self, start: Callable[..., Running]) -> None:
        """[B1000] [B1001] Each job ends once, however many processes die."""
        running = start()
        payloads = [call("exit", 1) if number % 25 == 7 else call("echo", b"ok") for number in range(500)]
        ids = running.submit(*payloads, name="task")
        running.ears.until_ended(*ids)
        lost = {job_id for job_id, report in running.ears.reports.items() if report[0] == "lost"}
        assert lost == {ids[number] for number in range(500) if number % 25 == 7}
        assert len(running.ears.outcomes) == 480

    @needs("isolates_crashes")
    def test_a_process_killed_while_idle_is_replaced(self, start: Callable[..., Running]) -> None:
        """[B990]"""
        running = start()
        running.run(call("echo", b""))
        old = set(running.pool.describe()["processes"])
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        assert running.run(*[call("echo", b"on")] * 10) == [b"on"] * 10
        running.ears.until(lambda: len(set(running.pool.describe()["processes"]) - old) == 2)

    @needs("isolates_crashes")
    def test_a_task_may_leave_a_daemon_behind(self, start: Callable[..., Running], gate: Gate) -> None:
        """A forked grandchild neither speaks for the process nor keeps its death from being seen."""
        running = start(concurrency=1)
        assert running.run(gate.payload("daemonize")) == [b"forked"]
        gate.arrived()
        [job_id] = running.submit(call("exit", 5))
        running.ears.until_ended(job_id)
        assert running.run(call("echo", b"on")) == [b"on"]
        gate.open()

    @needs("isolates_crashes")
    def test_a_process_that_cannot_get_ready_stops_the_start(self, pool_name: str) -> None:
        pool = make_pool(pool_name, PoolOptions(concurrency=2))
        with pytest.raises(UmbelError, match="no database today"):
            pool.start(ScriptedExecutor(fail="no database today"), Ears())
        assert not pool.describe()["processes"]

    @needs("isolates_crashes")
    def test_processes_are_entered_and_left_once(self, start: Callable[..., Running], tmp_path: Path) -> None:
        """[B1016] What a process needs of its own is made in it."""
        journal = tmp_path / "journal"
        running = start(executor=ScriptedExecutor(str(journal)))
        pids = set(running.pool.describe()["processes"])
        running.run(*[call("echo", b"")] * 10)
        running.pool.stop(drain=True, timeout_s=None)
        lines = Counter(journal.read_text().splitlines())
        assert lines == Counter([f"{what} {pid}" for what in ("enter", "leave") for pid in pids])

    @needs("isolates_crashes")
    def test_the_surroundings_of_a_process(self, start: Callable[..., Running]) -> None:
        """[B752] [B753] [B1006] [B1007] Ctrl-C is ignored, other handlers are not inherited, stdin is empty."""
        handler = signal.signal(signal.SIGHUP, lambda *_: None)
        try:
            running = start()
        finally:
            signal.signal(signal.SIGHUP, handler)
        seen = [json.loads(outcome) for outcome in running.run(*[call("surroundings")] * 20)]
        assert {one["SIGINT"] for one in seen} == {repr(signal.SIG_IGN)}
        assert {one["SIGTERM"] for one in seen} == {repr(signal.SIG_DFL)}
        assert {one["SIGHUP"] for one in seen} == {repr(signal.SIG_DFL)}
        assert {one["stdin"] for one in seen} == {""}
        assert len({one["random"] for one in seen}) == 20

    @needs("isolates_crashes")
    def test_ctrl_c_kills_no_process(self, start: Callable[..., Running], gate: Gate) -> None:
        """[B1006]"""
        running = start(concurrency=1)
        [job_id] = running.submit(gate.payload())
        gate.arrived()
        for pid in running.pool.describe()["processes"]:
            os.kill(pid, signal.SIGINT)
        gate.open()
        running.ears.until_ended(job_id)
        assert running.ears.outcomes[job_id] == b"waited"

    @needs("max_tasks_per_child")
    def test_a_process_leaves_after_its_share_of_jobs(self, start: Callable[..., Running]) -> None:
        """[B996] [B997] The successor starts without hanging, again and again."""
        running = start(max_tasks_per_child=3)
        served = Counter(running.run(*[call("pid")] * 60, name="task"))
        assert sum(served.values()) == 60
        assert max(served.values()) <= 3

    @needs("max_memory_per_child")
    def test_a_process_leaves_when_it_grew_too_big(self, start: Callable[..., Running]) -> None:
        with open("/proc/self/statm", "rb") as statm:
            limit_kib = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024 + 64 * 1024
        running = start(concurrency=1, max_memory_per_child_kib=limit_kib)
        first, again = running.run(call("pid"), call("pid"))
        assert first == again
        assert running.run(call("grow", 160)) == [b"grown"]
        assert running.run(call("pid")) != [first]

    def test_a_killed_worker_leaves_no_process_behind(self, pool_name: str, gate: Gate) -> None:
        """All processes of the pool hold the end of a pipe; it closes when the last of them is gone."""
        held, holding = os.pipe()
        program = (
            "import sys; from umbel.testing._pools.holding import hold; hold(*sys.argv[1:])",
            pool_name,
            gate.mark,
            gate.gate,
        )
        worker = subprocess.Popen([sys.executable, "-c", *program], pass_fds=[holding])
        os.close(holding)
        try:
            gate.arrived()
            worker.kill()
            worker.wait()
            assert select.select([held], [], [], _GONE_S)[0], "processes of the pool outlive the worker"
            assert os.read(held, 1) == b""
        finally:
            worker.kill()
            worker.wait()
            os.close(held)

    def test_a_worker_that_forgets_to_stop_can_exit(self, pool_name: str) -> None:
        """[B998] Nothing of an unstopped pool holds up the exit of the interpreter."""
        program = "import sys; from umbel.testing._pools.holding import forget; forget(sys.argv[1])"
        done = subprocess.run(
            [sys.executable, "-c", program, pool_name], timeout=_GONE_S, check=False, capture_output=True
        )
        assert done.returncode == 0, done.stderr.decode()
