"""Nothing is lost, whatever is killed: a short run of ``run.py`` (longer ones by command)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_task_is_lost_on_sqlite_when_parents_and_children_are_killed(seed: int) -> None:
    # [B964] [B967] [B969] [B990] [B991]
    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("run.py")), "--kills", "100", "--seed", str(seed)],
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "lost: 0" in run.stdout
