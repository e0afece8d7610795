"""``umbel worker`` as a program: SQLite, prefork, process signals, files, and the other commands beside it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

UMBEL = [sys.executable, "-m", "umbel"]
DEADLINE_S = 30.0

MODULE = """
import ctypes, os, sys, time
from umbel import SoftTimeLimitExceeded, Umbel

URL = "sqlite:///" + os.path.abspath("queue.db")
app = Umbel("proj", broker=URL, backend=URL)

def note(text):
    with open("notes", "a") as file:
        file.write(text + "\\n")

@app.task
def add(x, y):
    return x + y

@app.task
def slow(seconds, number=0):
    note(f"begin {number}")
    time.sleep(seconds)
    note(f"end {number}")
    return number

@app.task
def wait(number):
    note(f"begin {number}")
    while not os.path.exists("go"):
        time.sleep(0.02)
    note(f"end {number}")
    return number

@app.task
def die():
    note("die")
    os._exit(3)

@app.task
def crash():
    ctypes.string_at(0)

@app.task
def leave():
    sys.exit(5)

@app.task(time_limit=0.4)
def hang():
    while True:
        time.sleep(60)

@app.task(soft_time_limit=0.3, time_limit=20)
def soft():
    try:
        time.sleep(20)
    except SoftTimeLimitExceeded:
        return "cleaned up"

@app.task
def pid():
    return os.getpid()

@app.task
def shout():
    sys.stdout.buffer.write(b"\\xff\\x00\\xfe")
    print("\\udcff lone \\u20ac")
    return "heard"
"""


class Node:
    """A running ``umbel worker`` and what it has written."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [*UMBEL, "-A", "proj", "worker", "-l", "info", "-c", "1", *options],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.text = ""
        self._has_ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.text += line.decode("utf-8", "replace")
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def wait_for(self, pattern: str, times: int = 1) -> str:
        deadline = time.monotonic() + DEADLINE_S
        with self._changed:
            while True:
                found = list(re.finditer(pattern, self.text))
                if len(found) >= times:
                    return found[times - 1].group(0)
                left_s = deadline - time.monotonic()
                in_vain = f"{pattern!r} was not written; this was:\n{self.text}"
                assert not self._has_ended, in_vain
                assert left_s > 0, in_vain
                self._changed.wait(left_s)

    def send(self, name: str) -> None:
        self.process.send_signal(getattr(signal, f"SIG{name}"))

    def wait(self) -> int:
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "proj.py").write_text(MODULE)
    return tmp_path


@pytest.fixture
def start(project: Path) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def start_node(*options: str) -> Node:
        node = Node(project, *options)
        nodes.append(node)
        node.wait_for(r"\S+ ready\.")
        return node

    yield start_node
    for node in nodes:
        if node.process.poll() is None:
            node.process.kill()
        node.wait()


def umbel(project: Path, *arguments: str, code: int | None = 0, text: str | None = None) -> str:
    """Run ``umbel -A proj ARGUMENTS`` and return what it wrote."""
    done = subprocess.run(
        [*UMBEL, "-A", "proj", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        input=text,
        check=False,
    )
    written = done.stdout + done.stderr
    assert code is None or done.returncode == code, written
    return written.strip()


def notes(project: Path) -> list[str]:
    path = project / "notes"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def wait_for_note(project: Path, note: str, times: int = 1) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while notes(project).count(note) < times:
        assert time.monotonic() < deadline, f"{note!r} not in {notes(project)}"
        time.sleep(0.01)


def test_the_quick_start(project: Path, start: Callable[..., Node]) -> None:
    """[C003] [C004] [C005]"""
    node = start("-n", "w1@%h", "-Q", "celery,extra", "-E")
    for expected in (
        r"-- w1@\S+ v\d",
        r"app: +proj",
        r"transport: +sqlite:///",
        r"concurrency: +1 \(prefork\)",
        r"task events: ON",
        r"celery +exchange=celery\(direct\) key=celery",
        r"extra +exchange=extra\(direct\) key=extra",
        r"  \. proj\.add",
        r"Connected to sqlite:///",
    ):
        node.wait_for(expected)
    assert umbel(project, "call", "proj.add", "-a", "[2, 2]", "-w", "20") == "4"
    node.wait_for(r"INFO/umbel-pool-0\] Task proj\.add\[[0-9a-f-]{36}\] succeeded in 0\.\d+s: 4")
    assert umbel(project, "call", "proj.add", "-a", "[1, 2]", "--queue", "extra", "-w", "20") == "3"
    node.send("TERM")
    assert node.wait() == 0
    assert "Warm shutdown" in node.text


def test_term_finishes_what_runs_and_gives_back_the_rest(project: Path, start: Callable[..., Node]) -> None:
    """[B964] [B967] [B1131]"""
    node = start()
    ids = [umbel(project, "call", "proj.wait", "-a", f"[{number}]") for number in range(3)]
    wait_for_note(project, "begin 0")
    node.send("TERM")
    node.wait_for("Warm shutdown")
    (project / "go").touch()
    assert node.wait() == 0
    assert notes(project) == ["begin 0", "end 0"]
    assert umbel(project, "result", ids[0]) == "0"
    assert "PENDING" in umbel(project, "result", ids[1], code=2)
    start()
    for number, each in enumerate(ids):
        assert umbel(project, "result", each, "-w", "20") == str(number)
    assert notes(project).count("begin 0") == 1


@pytest.mark.parametrize("how", [["QUIT"], ["INT", "INT"], ["TERM", "QUIT"]])
def test_a_cold_stop_gives_back_everything(project: Path, start: Callable[..., Node], how: list[str]) -> None:
    """[B966] [B967]"""
    node = start()
    result = umbel(project, "call", "proj.slow", "-a", "[30, 1]")
    wait_for_note(project, "begin 1")
    for number, name in enumerate(how):
        node.send(name)
        if number + 1 < len(how):
            node.wait_for("Warm shutdown")
    began = time.monotonic()
    assert node.wait() == 0
    assert time.monotonic() - began < 15
    assert "PENDING" in umbel(project, "result", result, code=2)
    start()
    wait_for_note(project, "begin 1", times=2)


def test_a_worker_that_is_killed_loses_nothing(project: Path, start: Callable[..., Node]) -> None:
    """[B969] its messages are free within seconds, not after a guessed time-out."""
    node = start()
    result = umbel(project, "call", "proj.slow", "-a", "[1, 1]")
    wait_for_note(project, "begin 1")
    node.send("KILL")
    node.wait()
    start("-n", "other")
    assert umbel(project, "result", result, "-w", "25") == "1"
    assert notes(project).count("end 1") == 1


def test_tasks_that_kill_their_process_are_parked_in_the_end(project: Path, start: Callable[..., Node]) -> None:
    """[B990] [B992]"""
    node = start()
    lost = umbel(project, "call", "proj.die")
    crashed = umbel(project, "call", "proj.crash")
    assert "WorkerLostError" in umbel(project, "result", lost, "-w", "25", code=1)
    assert "WorkerLostError" in umbel(project, "result", crashed, "-w", "25", code=1)
    assert notes(project) == ["die"] * 3
    assert umbel(project, "call", "proj.add", "-a", "[1, 1]", "-w", "20") == "2"
    listed = umbel(project, "parked", "list")
    assert f"{lost}  proj.die  celery  crashed" in listed
    assert "x-umbel-parked-count: 3" in umbel(project, "parked", "show", lost[:8])
    assert "no parked message" in umbel(project, "parked", "show", "zzz", code=1)
    assert umbel(project, "parked", "drop", "-f", crashed) == "Dropped 1 message."
    assert umbel(project, "parked", "requeue", lost) == "Requeued 1 message."
    wait_for_note(project, "die", times=6)
    node.wait_for("parked message proj.die", times=2)


def test_limits_and_exits_are_outcomes(project: Path, start: Callable[..., Node]) -> None:
    """[B992] [B994] soft and hard limits; sys.exit() in a task"""
    start()
    hang, leave, soft = (umbel(project, "call", f"proj.{name}") for name in ("hang", "leave", "soft"))
    assert "TimeLimitExceeded" in umbel(project, "result", hang, "-w", "20", code=1)
    assert "SystemExit" in umbel(project, "result", leave, "-w", "20", code=1)
    assert umbel(project, "result", soft, "-w", "20") == '"cleaned up"'
    assert "Traceback" in umbel(project, "result", leave, "--traceback", code=1)


def test_processes_are_replaced_after_their_share(project: Path, start: Callable[..., Node]) -> None:
    start("--max-tasks-per-child", "1")
    pids = {umbel(project, "call", "proj.pid", "-w", "20") for _ in range(3)}
    assert len(pids) == 3


def test_binary_on_standard_output_harms_nothing(project: Path, start: Callable[..., Node]) -> None:
    """[B1104]"""
    node = start()
    assert umbel(project, "call", "proj.shout", "-w", "20") == '"heard"'
    node.wait_for(r"WARNING/umbel-pool-0\] \\xff.*\\xfe")
    node.wait_for("lone €")


def test_files_of_a_worker(project: Path, start: Callable[..., Node]) -> None:
    """[B1132] [B1125] pid file, log file, two workers of one name"""
    first = Node(project, "-n", "w1", "--pidfile", "%n.pid", "-f", "%n.log")
    pid_file, log_file = project / "w1.pid", project / "w1.log"
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not (log_file.exists() and "ready." in log_file.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert pid_file.read_text() == f"{first.process.pid}\n"
        refused = umbel(project, "worker", "-n", "w1", "--pidfile", "%n.pid", code=1)
        assert f"names process {first.process.pid}, which is running" in refused
        second = start("-n", "w1")
        second.wait_for("another worker named w1@")
        second.send("TERM")
        second.wait()
        first.send("USR1")
        while "stacks of all threads" not in log_file.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert "umbel-intake" in log_file.read_text()
    finally:
        first.send("TERM")
        assert first.wait() == 0
    assert not pid_file.exists()
    pid_file.write_text("garbage")
    third = start("-n", "w1", "--pidfile", "w1.pid")
    third.wait_for("held no process id; replaced")


def test_hup_starts_anew(project: Path, start: Callable[..., Node]) -> None:
    node = start()
    node.send("HUP")
    node.wait_for(r"\S+ ready\.", times=2)
    assert umbel(project, "call", "proj.add", "-a", "[1, 1]", "-w", "20") == "2"
    node.send("TERM")
    assert node.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["worker", "-P", "preforked"], 78, "did you mean 'prefork'"),
        (["worker", "-l", "loud"], 2, "known are DEBUG"),
        (["worker", "-c", "lots"], 78, "concurrency: expected a whole number"),
        (["worker", "-P", "threads", "--time-limit", "3"], 78, "use the prefork pool"),
        (["worker", "-P", "threads"], 78, "which these tasks have: proj.hang"),
        (["worker", "-f", "/nowhere/at/all.log"], 78, "cannot write the log file"),
        (["worker", "--pidfile", "/nowhere/at/all.pid"], 78, "cannot write the pid file"),
        (["worker", "--uid", "nobody-here-xyz"], 78, "no user named"),
        (["worker", "-I", "not_there_xyz"], None, "not_there_xyz"),
        (["worker", "--umask", "9"], 2, "octal"),
        (["call", "proj.add", "-a", "{1"], 2, "expected JSON such as"),
        (["call", "proj.add", "-k", "[1]"], 2, "expected JSON such as"),
        (["call", "proj.add", "--eta", "soon"], 2, "ISO 8601"),
        (["parked", "requeue"], 2, "or give --all"),
        (["purge", "-X", "nope"], 78, "cannot exclude queue 'nope'"),
    ],
)
def test_wrong_options_are_told(project: Path, arguments: list[str], code: int | None, said: str) -> None:
    """[B1117] [B1118]"""
    written = umbel(project, *arguments, code=code)
    assert said in written
    assert "Traceback" not in written or code is None


def test_purge_asks_first(project: Path) -> None:
    for _ in range(3):
        umbel(project, "call", "proj.add", "-a", "[1, 1]")
    assert "aborted" in umbel(project, "purge", text="n\n", code=1)
    assert umbel(project, "purge", "-f") == "Purged 3 messages from 1 queue."
    assert umbel(project, "purge", text="y\n").endswith("No messages purged from 1 queue.")
    assert umbel(project, "parked", "list") == "Nothing is parked."


def test_report_masks_passwords(project: Path) -> None:
    """[B1167]"""
    written = umbel(project, "-b", "redis://me:secret@host/1", "report")
    assert "umbel 0." in written
    assert "secret" not in written
    assert "host" in written


def test_shell_has_the_tasks(project: Path) -> None:
    assert "41" in umbel(project, "shell", "--python", text="print(add(40, 1))\n")
