"""``umbel multi`` with real workers: what it starts is found again, whatever has happened to it meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel.testing.threads import until

PATIENCE_S = 60.0
#: Programs that start take their time where the machine has much else to do.
pytestmark = pytest.mark.timeout(180)

MODULE = """
import os, time
from umbel import Umbel

URL = "sqlite:///" + os.path.abspath("queue.db")
app = Umbel("proj", broker=URL, backend=URL, worker_prefetch_multiplier=1)

@app.task
def hold(mark):
    with open("notes", "a") as file:
        file.write(f"{mark}\\n")
    while not os.path.exists("go"):
        time.sleep(0.02)
    return mark
"""


class Project:
    """A folder with a project, and what ``umbel multi`` starts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "proj.py").write_text(MODULE)

    def run(self, *words: str, code: int = 0) -> str:
        """Run ``umbel WORDS`` to its end and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "umbel", *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def multi(self, verb: str, *words: str, code: int = 0) -> str:
        """Run ``umbel multi`` for nodes at a host of that name."""
        return self.run("multi", verb, *words, "-n", "multi", "-A", "proj", "-P", "solo", "-l", "INFO", code=code)

    def pid(self, name: str) -> int:
        """Return what the pid file of *name* says; 0 where it says nothing (yet)."""
        path = self.folder / f"{name}.pid"
        return int((path.read_text() if path.exists() else "") or 0)

    def holds(self, mark: str, times: int = 1) -> None:
        """Wait until the task *mark* has begun so often."""
        notes = self.folder / "notes"
        until(lambda: notes.exists() and notes.read_text().split().count(mark) >= times, PATIENCE_S)

    def close(self) -> None:
        """Kill what was left."""
        for path in self.folder.glob("*.pid"):
            with contextlib.suppress(ValueError, OSError):
                os.kill(int(path.read_text()), signal.SIGKILL)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.close()


def has_ended(pid: int) -> bool:
    """Say whether the process is gone, or waits for nothing but its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_nodes_are_started_found_again_restarted_and_stopped(project: Project) -> None:
    """[C007] [B716] [B717] [B145] [B1141] what runs is finished before a node ends."""
    said = project.multi("start", "w1", "w2", "-Q:w2", "others")
    assert "> w1@multi: OK" in said
    assert "> w2@multi: OK" in said
    first = project.pid("w1"), project.pid("w2")
    again = project.multi("start", "w1", "w2", code=1)
    assert f"> w1@multi: FAILED: it runs already, as process {first[0]}" in again
    assert (project.pid("w1"), project.pid("w2")) == first

    until(lambda: "w1@multi ready." in (project.folder / "w1.log").read_text(), PATIENCE_S)
    project.run("-A", "proj", "call", "proj.hold", "--args", '["kept"]')
    project.holds("kept")
    stopping = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "umbel",
            "-q",
            "-A",
            "proj",
            "multi",
            "restart",
            "w1",
            "w2",
            "-n",
            "multi",
            "-P",
            "solo",
        ],
        cwd=project.folder,
    )
    until(lambda: project.pid("w2") not in (0, first[1]), PATIENCE_S)
    assert project.pid("w1") == first[0]  # its task is not done
    (project.folder / "go").touch()
    assert stopping.wait(PATIENCE_S) == 0
    second = project.pid("w1"), project.pid("w2")
    assert not set(first) & set(second)

    said = project.multi("stopwait", "w1", "w2")
    assert f"> w1@multi: TERM -> {second[0]}" in said
    assert all(map(has_ended, second))
    assert list(project.folder.glob("*.pid")) == []
    assert "> w1@multi: DOWN" in project.multi("stop", "w1")


def test_a_killed_node_leaves_a_file_that_is_in_nobodys_way(project: Project) -> None:
    """[B717] [B1143] and the task that it ran runs again."""
    project.multi("start", "w1")
    project.run("-A", "proj", "call", "proj.hold", "--args", '["mark"]')
    project.holds("mark")
    pid = project.pid("w1")
    os.kill(pid, signal.SIGKILL)
    until(lambda: has_ended(pid), PATIENCE_S)
    assert "> w1@multi: DOWN" in project.multi("stopwait", "w1")
    assert not (project.folder / "w1.pid").exists()
    project.multi("start", "w1")
    project.holds("mark", 2)
    assert "> w1@multi: KILL -> " in project.multi("kill", "w1")
    assert not (project.folder / "w1.pid").exists()
    (project.folder / "go").touch()


def test_a_number_that_is_another_programs_now_gets_no_signal(project: Project) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (project.folder / "w1.pid").write_text(f"{stranger.pid}\n")
        assert "> w1@multi: DOWN" in project.multi("stopwait", "w1", "-KILL")
        (project.folder / "w1.pid").write_text(f"{stranger.pid}\n")
        project.multi("start", "w1")
        assert project.pid("w1") != stranger.pid
        assert stranger.poll() is None
        assert stranger.stdin is not None
        stranger.stdin.write(b"\n")
    assert stranger.returncode == 0


def test_a_node_that_cannot_start_says_why(project: Project) -> None:
    """[B1139]"""
    (project.folder / "proj.py").write_text("raise LookupError('no such luck')\n")
    said = project.multi("start", "w1", code=1)
    assert "> w1@multi: FAILED: it ended with code" in said
    assert "no such luck" in said


def test_celerys_projects_have_it_too(project: Project) -> None:
    line = project.run("celery", "-A", "proj", "multi", "show", "w1", "-n", "multi").strip()
    assert "-m umbel celery --app=proj worker --hostname w1@multi" in line
    assert project.run("multi", "expand", "/run/%n.pid", "2", "-n", "multi") == "/run/umbel1.pid\n/run/umbel2.pid\n"
    assert project.run("multi", "names", "w1", "w2", "-n", "multi") == "w1@multi\nw2@multi\n"
    assert "--concurrency=4" in project.run("multi", "get", "w2", "w1", "w2", "-c:2", "4")
