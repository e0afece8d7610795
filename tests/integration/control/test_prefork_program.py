"""Workers with processes, as programs, steered from outside while they work and while they are shot at; nothing is lost."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from umbel import AsyncResult, Umbel
from umbel.exceptions import ImproperlyConfigured, SoftTimeLimitExceeded, TaskRevokedError, TimeLimitExceeded
from umbel.testing.proxy import TcpProxy
from umbel.testing.servers import Server
from umbel.testing.threads import in_thread, until
from umbel.worker import Worker

NODE = "w1@steered"
PATIENCE_S = 60.0
#: Programs that start take their time where the machine has much else to do.
pytestmark = pytest.mark.timeout(180)
SHOTS = 6

MODULE = """
import os, time
from umbel import Umbel
import answers

app = Umbel(
    "steered",
    broker=os.environ["STEERED_URL"],
    backend=os.environ["STEERED_URL"],
    control_exchange=os.environ["STEERED_NAME"],
    task_default_queue=os.environ["STEERED_NAME"],
    worker_pool_restarts=True,
    task_max_deliveries=1000,
    worker_cancel_long_running_tasks_on_connection_loss=bool(os.environ.get("STEERED_CANCELS")),
)

def note(text):
    with open("notes", "a") as file:
        file.write(text + "\\n")

@app.task(name="quick")
def quick(number):
    note(f"ran {number}")
    return number

@app.task(name="hold")
def hold(mark):
    note(f"{mark} runs {os.getpid()}")
    while not os.path.exists("go"):
        time.sleep(0.01)
    note(f"{mark} ends")
    return mark

@app.task(name="sleep")
def sleep():
    note("sleeps")
    time.sleep(600)

@app.task(name="answer")
def answer():
    return answers.ANSWER
"""


class Site:
    """A project in a folder, the application on the caller's side, and workers of it."""

    def __init__(self, folder: Path, url: str, **environment: str) -> None:
        name = f"s{secrets.token_hex(4)}"
        self.folder = folder
        self.app = Umbel(
            "steered",
            broker=url,
            backend=url,
            set_as_current=False,
            control_exchange=name,
            task_default_queue=name,
        )
        self._environment = {**os.environ, "STEERED_URL": url, "STEERED_NAME": name, **environment}
        self._processes: list[subprocess.Popen[bytes]] = []
        (folder / "steered.py").write_text(MODULE)
        (folder / "answers.py").write_text("ANSWER = 1\n")

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a worker, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "umbel", "-A", "steered", "worker", "-n", NODE, "-c", "2", *options],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        until(lambda: process.poll() is not None or self.app.control.ping(timeout=0.5), PATIENCE_S)
        assert process.poll() is None, self.log()
        return process

    def close(self) -> None:
        """End what was started."""
        self.app.close()
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
            process.wait()

    def log(self) -> str:
        """Return what the workers wrote."""
        return (self.folder / "log").read_text()

    def notes(self) -> list[str]:
        """Return what the tasks noted."""
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def has_noted(self, start: str, count: int = 1) -> list[str]:
        """Wait until so many notes begin with *start*, and return them."""

        def found() -> list[str]:
            notes = [note for note in self.notes() if note.startswith(start)]
            return notes if len(notes) >= count else []

        return until(found, PATIENCE_S)

    def let_go(self) -> None:
        """Let the tasks that hold go on."""
        (self.folder / "go").touch()

    def send(self, name: str, *args: Any) -> AsyncResult[Any]:
        """Call a task."""
        return self.app.send_task(name, args)

    def tell(self, command: str, **arguments: Any) -> Any:
        """Give a command and return the node's answer, which must be ``ok``."""
        control = self.app.control
        replies: Any = control.broadcast(command, arguments=arguments, reply=True, timeout=20, destination=[NODE]) or []
        assert [list(reply) for reply in replies] == [[NODE]], self.log()
        answer = replies[0][NODE]
        assert "ok" in answer, answer
        return answer["ok"]

    def pool(self) -> dict[str, Any]:
        """Return what the node says of its pool."""
        found: dict[str, Any] = {}

        def ask() -> bool:
            found.update(self.app.control.inspect(destination=[NODE], timeout=5).stats() or {})
            return bool(found)

        until(ask, PATIENCE_S)
        pool: dict[str, Any] = found[NODE]["pool"]
        return pool


@pytest.fixture(params=["sqlite", "redis"])
def steered(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A project whose broker and store are SQLite, then Redis."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/store.db"
    else:
        url = str(request.getfixturevalue("redis_server").url)
    site = Site(tmp_path, url)
    try:
        yield site
    finally:
        site.close()


def test_running_tasks_are_terminated_and_others_are_not(steered: Site) -> None:
    """The process of the one is signalled; what runs beside it and what waits is not concerned."""
    steered.start()
    meant, kept = steered.send("hold", "meant"), steered.send("hold", "kept")
    steered.has_noted("meant runs")
    steered.has_noted("kept runs")
    waiting = [steered.send("quick", number) for number in range(20)]
    assert meant.id in steered.tell("terminate", signal="SIGKILL", task_id=meant.id)
    with pytest.raises(TaskRevokedError, match="terminated"):
        meant.get(timeout=PATIENCE_S)
    assert [result.get(timeout=PATIENCE_S) for result in waiting] == list(range(20))
    second = steered.send("hold", "second")
    steered.has_noted("second runs")
    assert second.id in steered.tell("revoke", task_id=[second.id], terminate=True, signal="SIGTERM")
    with pytest.raises(TaskRevokedError):
        second.get(timeout=PATIENCE_S)
    steered.let_go()
    assert kept.get(timeout=PATIENCE_S) == "kept"
    assert [note for note in steered.notes() if note.endswith("ends")] == ["kept ends"]


def test_new_time_limits_hold_from_the_next_call_on(steered: Site) -> None:
    """What runs already keeps the limits it was started with."""
    steered.start()
    running = steered.send("hold", "old")
    steered.has_noted("old runs")
    assert steered.tell("time_limit", task_name="sleep", hard=0.3) == "time limits set successfully"
    with pytest.raises(TimeLimitExceeded):
        steered.send("sleep").get(timeout=PATIENCE_S)
    steered.tell("time_limit", task_name="sleep", hard=60, soft=0.2)
    with pytest.raises(SoftTimeLimitExceeded):
        steered.send("sleep").get(timeout=PATIENCE_S)
    steered.tell("time_limit", task_name="hold", hard=0.2)
    limited = steered.send("hold", "new")
    with pytest.raises(TimeLimitExceeded):
        limited.get(timeout=PATIENCE_S)
    steered.let_go()
    assert running.get(timeout=PATIENCE_S) == "old"


def test_the_pool_grows_under_its_tasks_and_shrinks_after_them(steered: Site) -> None:
    steered.start()
    held = [steered.send("hold", f"h{number}") for number in range(3)]
    steered.has_noted("h", 2)
    assert steered.tell("pool_grow", n=1) == "pool will grow"
    assert len({note.split()[-1] for note in steered.has_noted("h", 3)}) == 3
    assert steered.pool()["max-concurrency"] == 3
    assert steered.tell("pool_shrink", n=2) == "pool will shrink"
    steered.let_go()
    assert [result.get(timeout=PATIENCE_S) for result in held] == ["h0", "h1", "h2"]
    until(lambda: len(steered.pool()["processes"]) == 1, PATIENCE_S)
    assert steered.send("quick", 7).get(timeout=PATIENCE_S) == 7


def test_the_pool_scales_with_the_work_between_bounds_that_change(steered: Site) -> None:
    steered.start("--autoscale=3,1")
    held = [steered.send("hold", f"h{number}") for number in range(3)]
    assert len({note.split()[-1] for note in steered.has_noted("h", 3)}) == 3
    assert steered.tell("autoscale", max=1, min=1) == "autoscale now max=1 min=1"
    steered.let_go()
    assert [result.get(timeout=PATIENCE_S) for result in held] == ["h0", "h1", "h2"]
    until(lambda: len(steered.pool()["processes"]) == 1, PATIENCE_S)
    steered.tell("autoscale", max=2, min=2)
    until(lambda: len(steered.pool()["processes"]) == 2, PATIENCE_S)
    assert steered.send("quick", 7).get(timeout=PATIENCE_S) == 7


def test_a_new_pool_runs_new_code_and_loses_nothing(steered: Site) -> None:
    steered.start()
    assert steered.send("answer").get(timeout=PATIENCE_S) == 1
    before = [steered.send("quick", number) for number in range(100)]
    (steered.folder / "answers.py").write_text("ANSWER = 'another'\n")
    assert steered.tell("pool_restart", modules=["answers"], reload=True) == "reload started"
    after = [steered.send("quick", number) for number in range(100, 200)]
    assert [result.get(timeout=PATIENCE_S) for result in [*before, *after]] == list(range(200))
    until(lambda: steered.send("answer").get(timeout=PATIENCE_S) == "another", PATIENCE_S)


def shoot(steered: Site, shots: int) -> None:
    """Kill processes of the pool, while it is told to be of another size, or to be made anew."""
    orders = [("pool_grow", {"n": 1}), ("pool_restart", {}), ("pool_shrink", {"n": 1})]
    for number in range(shots):
        command, arguments = orders[number % len(orders)]
        steered.app.control.broadcast(command, arguments=arguments)
        processes = until(lambda: steered.pool()["processes"], PATIENCE_S)
        ran = len(steered.notes())
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile, by the command
            os.kill(processes[0], signal.SIGKILL)
        steered.has_noted("ran", ran + 1)


def test_nothing_is_lost_when_processes_are_killed_amid_commands(steered: Site) -> None:
    """Neither by the loss of a process, nor by that of the worker itself while it makes its pool anew."""
    worker = steered.start()
    shooting = in_thread(shoot, steered, SHOTS)
    results: list[AsyncResult[Any]] = []
    while not shooting.done():
        results += [steered.send("quick", number) for number in range(len(results), len(results) + 20)]
        assert results[-1].get(timeout=PATIENCE_S) == len(results) - 1
    shooting.result()
    results += [steered.send("quick", number) for number in range(len(results), len(results) + 150)]
    steered.app.control.broadcast("pool_restart")
    worker.kill()
    worker.wait()
    steered.start()
    assert [result.get(timeout=PATIENCE_S) for result in results] == list(range(len(results)))
    assert {int(note.split()[1]) for note in steered.notes()} == set(range(len(results)))


def test_what_runs_when_the_broker_is_lost_is_cancelled_where_that_is_wanted(
    redis_server: Server, tmp_path: Path
) -> None:
    """It is told to be cancelled, and not to be revoked; it comes again, and only that run comes to its end."""
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(TcpProxy("127.0.0.1", redis_server.port))
        url = str(redis_server.url)
        site = Site(tmp_path, url, STEERED_URL=f"redis://127.0.0.1:{proxy.port}/0", STEERED_CANCELS="yes")
        stack.callback(site.close)
        receiver = stack.enter_context(site.app.events.Receiver(routing_key="task.#"))
        site.start("-E")
        result = site.send("hold", "mark")
        site.has_noted("mark runs")
        assert proxy.cut() > 0
        heard = (event["type"] for event in receiver.itercapture(timeout=PATIENCE_S) if event["uuid"] == result.id)
        until_then = list(iter(lambda: next(heard), "task-cancelled"))
        assert "task-revoked" not in until_then
        site.has_noted("mark runs", 2)
        site.let_go()
        assert result.get(timeout=PATIENCE_S) == "mark"
        assert site.notes().count("mark ends") == 1


def test_a_pool_that_cannot_cancel_is_refused(tmp_path: Path) -> None:
    app = Umbel(
        "refused",
        broker=f"sqlite:///{tmp_path}/store.db",
        set_as_current=False,
        worker_cancel_long_running_tasks_on_connection_loss=True,
    )
    with app, pytest.raises(ImproperlyConfigured, match="the pool 'threads' cannot cut off a task"):
        Worker(app, pool="threads", concurrency=1).start()
