"""Nothing is lost, whatever is broken: short runs of ``run.py`` (longer ones by ``make faults``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers import need

from umbel.testing.servers import PostgresServer, RabbitmqServer, RedisServer, Server

_PROGRAMS: dict[str, type[Server]] = {"redis": RedisServer, "rabbitmq": RabbitmqServer, "postgres": PostgresServer}

#: What is broken in one run, in turn. The broker's frozen state is short here, so that the runs are.
_ALL = "broker-restart,cut,freeze,slow,disk-full,pool-server,stop-kill,caller-kill"


def run(broker: str, *options: str) -> str:
    """Run the harness, which exits with 1 when a promise was broken; return what it has printed."""
    if broker in _PROGRAMS:
        need(_PROGRAMS[broker])
    program = str(Path(__file__).with_name("run.py"))
    done = subprocess.run(
        [sys.executable, program, "--broker", broker, "--verbose", *options],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-4000:]
    assert "lost: 0" in done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("broker", "kills"), [("sqlite", 40), ("redis", 20), ("rabbitmq", 10), ("postgres", 10)])
def test_no_task_is_lost_when_parents_and_children_are_killed(broker: str, kills: int) -> None:
    # [B964] [B967] [B969] [B990] [B991]
    run(broker, "--kills", str(kills), "--seed", "5")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("broker", ["redis", "rabbitmq", "postgres"])
def test_no_task_is_lost_when_the_broker_and_the_way_to_it_are_broken(broker: str) -> None:
    # [B991]
    told = run(broker, "--fault", _ALL, "--rounds", "1", "--hold", "2", "--seed", "3")
    assert "BROKEN" not in told


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("broker", ["redis", "postgres"])
def test_no_result_is_overwritten_by_a_worker_that_was_taken_for_dead(broker: str) -> None:
    # [B991]
    run(broker, "--fault", "zombie,worker-kill", "--rounds", "1", "--hold", "5", "--seed", "4")
