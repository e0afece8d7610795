"""Nothing is lost, whatever is killed: short runs of ``run.py`` (longer ones by command)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from umbel.testing.servers import Server


def run(*options: str) -> None:
    """Run the harness; it exits with 1 when a task has no final state, a wrong value, or is still in the queue."""
    program = str(Path(__file__).with_name("run.py"))
    done = subprocess.run([sys.executable, program, *options], capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost: 0" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_task_is_lost_on_sqlite_when_parents_and_children_are_killed(seed: int) -> None:
    # [B964] [B967] [B969] [B990] [B991]
    run("--kills", "100", "--seed", str(seed))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_no_task_is_lost_on_redis_when_parents_and_children_are_killed(redis_server: Server) -> None:
    # [B964] [B967] [B969] [B990] [B991]
    run("--kills", "60", "--seed", "5", "--broker", redis_server.url.removesuffix("/0") + "/8")
