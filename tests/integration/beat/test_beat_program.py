"""``umbel beat`` as a program, with a worker beside it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

UMBEL = [sys.executable, "-m", "umbel"]
MODULE = """
import os
from umbel import Umbel

URL = "sqlite:///" + os.path.abspath("queue.db")
app = Umbel("proj", broker=URL, backend=URL)
app.conf.beat_schedule = {"often": {"task": "proj.note", "schedule": 0.2, "args": ("beat",)}}

@app.task
def note(text):
    print("noted", text)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "proj.py").write_text(MODULE)
    return tmp_path


@contextmanager
def program(project: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*UMBEL, "-A", "proj", *words],
        cwd=project,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """Return what was printed up to the line that *pattern* is in; the test's own time limit ends a vain wait."""
    lines: list[str] = []
    for line in process.stdout or ():
        lines.append(line)
        if re.search(pattern, line):
            return "".join(lines)
    pytest.fail(f"{pattern!r} did not come:\n" + "".join(lines))


def test_beat_sends_and_a_worker_runs(project: Path) -> None:
    """[A290] [A308]"""
    with program(project, "beat") as beat, program(project, "worker", "-P", "solo", "-l", "info") as worker:
        assert "scheduler -> persistent" in read_until(beat, r"Sending due task often \(proj.note\)")
        read_until(worker, "noted beat")
        beat.send_signal(signal.SIGTERM)
        assert beat.wait(20) == 0
    assert (project / "celerybeat-schedule").exists()


def test_beat_inside_of_a_worker(project: Path) -> None:
    """[A309] [B677] [B680]"""
    with program(project, "worker", "-B", "-s", "own-file", "-P", "solo", "-l", "info") as worker:
        read_until(worker, "noted beat")
        worker.send_signal(signal.SIGTERM)
        rest, _ = worker.communicate(timeout=20)
        assert worker.returncode == 0, rest
    assert (project / "own-file").exists()


def test_killed_beat_goes_on_where_it_was(project: Path) -> None:
    with program(project, "beat") as beat:
        read_until(beat, "Sending due task often")
        with program(project, "beat") as second:
            assert "another beat uses the schedule file" in read_until(second, "another beat")
            assert second.wait(20) == 78
        beat.kill()
        beat.wait(20)
    with program(project, "beat") as third:
        read_until(third, "Sending due task often")
