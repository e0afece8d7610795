"""Tasks that leave, crash, leak, block and babble: each costs itself, and those beside it go on."""

from __future__ import annotations

import re
from typing import Any

import pytest

from umbel.exceptions import TimeLimitExceeded, WorkerLostError

TASKS = """
@app.task
def leave(how):
    open("ran", "a").write("x")
    getattr(*{"sys.exit": (sys, "exit"), "os._exit": (os, "_exit")}[how])(7)

@app.task(max_retries=0)
def segfault():
    import ctypes
    ctypes.string_at(0)

@app.task
def grow(mebibytes):
    grow.kept = b"x" * (mebibytes << 20)
    return os.getpid()

@app.task
def who():
    return os.getpid()

@app.task(time_limit=0.5)
def hang():
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

@app.task
def babble():
    os.write(1, b"raw \\xff\\x00\\n")
    sys.stdout.buffer.write(b"\\xff\\x00 bytes\\n")
    print("caf\\u00e9", 1, "\\udcff", end="")
    sys.stderr.write("x" * 200_000)
    os.close(1)
    os.close(2)
    return "said"
"""


@pytest.fixture
def tasks(project: Any) -> Any:
    project.write(TASKS)
    return project


def test_a_task_that_exits_fails_alone(tasks: Any) -> None:
    """sys.exit() is an exception like others; os._exit() is the loss of a process, and is tried again, not for ever."""
    with tasks.start("-c", "1") as node:
        beside = [tasks.send("add", number, number) for number in range(30)]
        asked, gone = tasks.send("leave", "sys.exit"), tasks.send("leave", "os._exit")
        behind = [tasks.send("add", number, number) for number in range(30)]
        with pytest.raises(Exception, match="7") as caught:
            asked.get(timeout=30)
        assert type(caught.value).__name__ == "SystemExit"
        with pytest.raises(WorkerLostError) as lost:
            gone.get(timeout=30)
        assert re.search(
            r"delivered 3 times and its task never came to an end \(task_max_deliveries is 3\).*"
            r"the last time: pool process \d+ ended with exit code 7",
            str(lost.value),
        )
        assert [result.get(timeout=30) for result in beside + behind] == [2 * number for number in range(30)] * 2
        assert (tasks.directory / "ran").read_text() == "x" * 4
        node.wait_for(r"lost its process: pool process \d+ ended with exit code 7", times=3)
    assert f"{gone.id}  proj.leave  celery  crashed" in tasks.umbel("parked", "list")


def test_the_command_line_tells_a_failure_as_such(tasks: Any) -> None:
    """Its own traceback would say nothing; the task's is there for who asks."""
    with tasks.start("-c", "1"):
        said = tasks.umbel("call", "proj.add", "-a", '[1, "x"]', "-w", "20", code=1)
        assert said.startswith("FAILURE: TypeError(")
        assert "Traceback" not in said
        assert tasks.umbel("call", "proj.add", "-a", "[1, 2]", "-w", "20") == "3"


def test_a_segfault_names_its_signal(tasks: Any) -> None:
    tasks.write(TASKS + "app.conf.task_reject_on_worker_lost = False\n")
    with tasks.start("-c", "1"):
        crashed = tasks.send("segfault")
        with pytest.raises(WorkerLostError, match=r"was killed by signal 11 \(SIGSEGV, a crash in native code\)"):
            crashed.get(timeout=30)
        assert tasks.works()
    assert tasks.umbel("parked", "list") == "Nothing is parked.", "it is a plain failure where it is not tried again"


def test_a_leak_costs_the_process_its_life(tasks: Any) -> None:
    """The task that leaked has its result; the next one has another process, and nothing is run twice."""
    with tasks.start("-c", "1", "--max-memory-per-child", "150000") as node:
        first = tasks.send("who").get(timeout=30)
        assert tasks.send("grow", 1).get(timeout=30) == first
        assert tasks.send("grow", 200).get(timeout=30) == first
        assert tasks.send("who").get(timeout=30) != first
        assert "lost its process" not in node.text


def test_a_task_that_blocks_for_ever_is_killed_in_time(tasks: Any) -> None:
    """Even one that takes no signal; the others do not wait for it."""
    with tasks.start("-c", "2") as node:
        blocked = [tasks.send("hang") for _ in range(3)]
        assert tasks.works()
        for each in blocked:
            with pytest.raises(TimeLimitExceeded, match=r"longer than its hard time limit of 0\.5 s"):
                each.get(timeout=30)
        node.wait_for(r"Hard time limit \(0\.5s\) exceeded for proj\.hang\[", times=3)
        assert tasks.works()
    assert tasks.umbel("parked", "list") == "Nothing is parked."


def test_whatever_is_printed_becomes_lines_of_the_log(tasks: Any) -> None:
    """[B1104] [B1107] binary, pieces, lone surrogates, and even a task that closes the standard streams."""
    with tasks.start("-c", "1") as node:
        assert tasks.send("babble").get(timeout=30) == "said"
        node.wait_for(r"WARNING/umbel-pool-0\] \\xff\x00 bytes\n")
        node.wait_for(r"WARNING/umbel-pool-0\] café 1 \\udcffx{200000}\n")
        assert tasks.works()


def test_an_ignored_result_stays_ignored_when_its_process_dies(tasks: Any) -> None:
    """[B993] and over the hard limit, too; the parked message is there all the same."""
    tasks.write(TASKS + "leave.ignore_result = hang.ignore_result = True\n")
    with tasks.start("-c", "2") as node:
        gone, hung = tasks.send("leave", "os._exit"), tasks.send("hang")
        node.wait_for(r"parked message proj\.leave")
        node.wait_for(r"Hard time limit \(0\.5s\) exceeded for proj\.hang")
        assert tasks.works()
    assert (gone.state, hung.state) == ("PENDING", "PENDING")
    assert gone.id in tasks.umbel("parked", "list")


def test_a_worker_that_is_killed_loses_what_it_acknowledged_early_and_nothing_else(tasks: Any, until: Any) -> None:
    """[B965]"""
    tasks.write(
        TASKS
        + """
def begin(name):
    open(f"began-{name}", "a").write("x")
    time.sleep(0 if os.path.exists("go-on") else 60)
    return name

late = app.task(name="proj.late")(lambda: begin("late"))
early = app.task(name="proj.early", acks_late=False)(lambda: begin("early"))
"""
    )
    began = [tasks.directory / f"began-{name}" for name in ("late", "early")]
    with tasks.start("-c", "2") as node:
        late, early = tasks.send("late"), tasks.send("early")
        until(lambda: all(path.exists() for path in began), "both tasks have begun")
        node.stop("KILL")
    (tasks.directory / "go-on").touch()
    with tasks.start("-c", "2"):
        assert late.get(timeout=30) == "late"
        assert tasks.works()
    assert early.state == "PENDING"
    assert [path.read_text() for path in began] == ["xx", "x"]
