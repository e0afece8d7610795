"""Workers that cannot start, or should not: one clear line, an exit code, and nothing touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("app", "module", "words"),
    [
        ("porj", None, "no module named 'porj', looked for in {folder} and on the Python path; did you mean 'proj'?"),
        ("proj.tasks", None, "module 'proj' has no attribute 'tasks'"),
        ("proj:ap", None, "module 'proj' has no attribute 'ap'; did you mean 'app'?"),
        ("empty", "x = 1", "has no application: expected something like app = Umbel('empty') in it"),
        ("proj:URL", None, "proj:URL: expected an application (Umbel(...)), got 'sqlite:///"),
    ],
)
def test_an_application_that_is_not_there(project: Any, app: str, module: str | None, words: str) -> None:
    """[C006] the same for all commands, with the exit code of a wrong configuration."""
    if module is not None:
        (project.directory / f"{app}.py").write_text(module)
    for command in (["worker"], ["purge", "-f"], ["call", "x"]):
        said = project.umbel(*command, app=app, code=78)
        assert words.format(folder=project.directory) in said
        assert "Traceback" not in said
    assert not project.store.exists()


def test_an_error_inside_the_application_is_shown_whole(project: Any) -> None:
    """[B1121] [B1122] a module that the user's own module lacks is not mistaken for the user's."""
    project.write("import not_there_xyz\n")
    said = project.umbel("worker", code=1)
    assert "No module named 'not_there_xyz'" in said
    assert 'proj.py", line ' in said, "where it is"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-b", "sqlit:///x", "worker"], 78, "no transport named 'sqlit' is installed; did you mean 'sqlite'?"),
        (["-b", "rubbish", "worker"], 78, "rubbish"),
        (["worker", "-P", "solo", "-c", "-2"], 78, "concurrency: expected a whole number of 1 or more, or auto; got"),
        (["--result-backend", "sqlit:///x", "worker"], 78, "no backend named 'sqlit' is installed; did you mean"),
        (["-b", "sqlite://host/x", "worker"], 78, "an SQLite file has no host"),
        (["--config", "no_such_config", "worker"], 78, "there is no configuration module 'no_such_config'"),
        (["worker", "-X", "celry"], 78, "cannot exclude queue 'celry'; did you mean 'celery'?"),
        (["worker", "-l", "inof"], 2, "did you mean 'INFO'?; known are DEBUG"),
        (["worker", "--conurrency", "2"], 2, "Did you mean '--concurrency'?"),
        (["worker", "extra"], 2, "unexpected extra argument (extra)"),
        (["wroker"], 2, "no command named 'wroker'; did you mean 'worker'?"),
        (["call", "proj.add", "-a", "[1]"], 1, "task proj.add(x, y): missing a required argument: 'y'"),
        (["call", "proj.add", "-a", "[1, 2]", "--serializer", "jsno"], 78, "did you mean 'json'?"),
        (["result", "-t", "proj.ad", "some-id"], 1, "task 'proj.ad': not registered here; did you mean 'proj.add'?"),
        (["plugins", "show", "sqlit"], 78, "did you mean 'sqlite'?"),
    ],
)
def test_what_is_misspelt_is_told_in_one_line(project: Any, arguments: list[str], code: int, words: str) -> None:
    """[B1117] [B1119]"""
    said = project.umbel(*arguments, code=code)
    assert words in said
    assert "Traceback" not in said


def test_a_misspelt_task_is_sent_with_a_warning(project: Any) -> None:
    """Other processes may know it: the command line cannot tell."""
    said = project.umbel("call", "proj.ad", "-a", "[1, 2]")
    assert "no task 'proj.ad' is known here; did you mean 'proj.add'?; sent all the same, by its name" in said
    assert project.count() == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("app.conf.task_alwys_eager = True", "unknown setting 'task_alwys_eager'"),
        ("app.conf.update({'sqlit': {'synchronous': 'full'}})", "unknown section 'sqlit', in"),
        ("app.conf.worker_concurrency = 'x'", "worker_concurrency: expected a whole number or 'auto', got 'x'"),
        ("app.conf.update(task_soft_time_limit=9, task_time_limit=9)", "the soft limit must be the lower one"),
    ],
)
def test_a_wrong_setting_is_told_with_its_place(project: Any, line: str, words: str) -> None:
    project.write(f"{line}\n")
    said = project.umbel("worker", code=78)
    assert words in said
    assert "Traceback" not in said


def test_an_old_name_in_a_file_is_told_in_one_line(project: Any) -> None:
    """The new name and the place, and nothing of the program's own code."""
    (project.directory / "old.py").write_text("CELERYD_CONCURRENCY = 3\n")
    said = project.umbel("--config", "old", "config", "worker_concurrency")
    assert (
        f"umbel: CELERYD_CONCURRENCY, in {project.directory}/old.py, is an old name: call it 'worker_concurrency'"
        in said
    )
    assert "Warning" not in said


def test_two_workers_of_one_name_are_told_and_both_work(project: Any) -> None:
    """[B1125] the second says so at its start, the first when it hears of it, and neither harms the other."""
    project.write("@app.task(bind=True)\ndef where(self):\n    return os.getppid()\n")
    with project.start("-c", "1", "-n", "twin@%h") as first, project.start("-c", "1", "-n", "twin@%h") as second:
        second.wait_for(
            r"another worker named twin@\S+ runs on this machine .* give each a name of its own \(-n NAME@%h\)"
        )
        first.wait_for(r"another worker named twin@\S+ is at this broker .* give each a name of its own \(-n NAME@%h\)")
        assert [project.send("add", number, 1).get(timeout=30) for number in range(20)] == list(range(1, 21))
        assert second.stop() == 0
        assert project.works()
    with project.start("-c", "1", "-n", "twin@%h") as third:
        assert project.works()
        assert "another worker" not in third.text


def test_a_pid_file_left_by_a_crash_is_replaced(project: Any) -> None:
    """[B1132]"""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    pid_file = project.directory / "w.pid"
    for left, words in (
        (gone.stdout, rf"was left by process {gone.stdout.decode().strip()}, which is gone; replaced"),
        (b"\x00\xff not a number", "held no process id; replaced"),
        (b"", "held no process id; replaced"),
    ):
        pid_file.write_bytes(left)
        with project.start("-c", "1", "--pidfile", "w.pid") as node:
            node.wait_for(words)
            assert pid_file.read_text() == f"{node.process.pid}\n"
        assert not pid_file.exists()


def test_a_pid_file_of_a_living_process_keeps_the_second_away(project: Any) -> None:
    """[B1132] and the first is not disturbed; after its kill -9 its file is no obstacle."""
    with project.start("-c", "1", "--pidfile", "w.pid") as node:
        said = project.umbel("worker", "--pidfile", "w.pid", code=1)
        assert f"w.pid names process {node.process.pid}, which is running; is this worker started already?" in said
        assert (project.directory / "w.pid").read_text() == f"{node.process.pid}\n"
        assert project.works()
        os.kill(node.process.pid, signal.SIGKILL)
        node.process.wait(10)
        with project.start("-c", "1", "--pidfile", "w.pid") as second:
            second.wait_for("which is gone; replaced")
            assert project.works()


def test_help_and_version_need_no_configuration(project: Any) -> None:
    """[B1116] not even one that could be read."""
    (project.directory / "umbel.toml").write_text("this is = = no toml\n")
    project.write("raise RuntimeError\n")
    for arguments in (
        ["--help"],
        ["--version"],
        ["worker", "--help"],
        ["call", "--help"],
        ["parked", "list", "--help"],
    ):
        said = project.umbel(*arguments)
        assert said.startswith(("Usage: umbel", "umbel 0."))


def test_the_configuration_of_the_working_directory_is_read(project: Any) -> None:
    """[B1138] the directory is entered first."""
    elsewhere = project.directory / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "umbel.toml").write_text("worker_concurrency = 7\n")
    (elsewhere / "there.py").write_text("from umbel import Umbel\napp = Umbel('there')\n")
    assert "elsewhere/umbel.toml, line 1" in project.umbel("--workdir", "elsewhere", "config", app="there")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_root_is_warned(project: Any) -> None:
    """[B1126]"""
    with project.start("-c", "1") as node:
        node.wait_for("running as root: a task that is broken into owns this machine; use --uid")


def test_a_closed_terminal_ends_a_worker_and_does_not_restart_it(project: Any) -> None:
    """[B1145] HUP restarts a worker in the background; one on a terminal goes with it, and nothing is lost."""
    controller, terminal = os.openpty()
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored when the tests run under nohup
    try:
        with project.start("-c", "1", stdin=terminal) as node:
            result = project.send("add", 1, 1)
            assert result.get(timeout=30) == 2
            assert node.stop("HUP") == -signal.SIGHUP
            assert node.text.count("ready.") == 1
    finally:
        signal.signal(signal.SIGHUP, inherited)
        os.close(controller)
        os.close(terminal)
    later = project.send("add", 2, 2)
    with project.start("-c", "1"):
        assert later.get(timeout=30) == 4
