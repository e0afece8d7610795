"""Events between Celery and Umbel: each shows the other's workers and tasks; Flower shows Umbel's."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from tests.integration.celery_interop.conftest import PROGRAMS, WAIT_S

from umbel import Umbel
from umbel.testing.servers import Server
from umbel.worker import Worker

PATIENCE_S = 40.0


@attrs.define
class Place:
    """A broker at which an Umbel worker tells of its tasks."""

    name: str
    url: str
    app: Umbel
    task: Any
    worker: Worker
    folder: Path
    stack: contextlib.ExitStack

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start a Python program of the foreign kind, which ends with the test."""
        environment = {
            **os.environ,
            "INTEROP_BROKER": self.url,
            "INTEROP_RESULTS": "rpc://",
            "PYTHONPATH": str(PROGRAMS),
            "PYTHONUNBUFFERED": "1",
            "C_FORCE_ROOT": "1",
            "FLOWER_UNAUTHENTICATED_API": "true",
            "INTEROP_NOTES": self.url,
        }
        log = self.stack.enter_context((self.folder / f"{words[0]}-{words[-1].strip('-')}.log").open("wb"))
        options = {"stdout": log, "stderr": log, **options}
        process = subprocess.Popen([sys.executable, "-m", *words], cwd=PROGRAMS, env=environment, text=True, **options)
        self.stack.callback(_end, process)
        return process

    def logs(self) -> str:
        return "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in self.folder.glob("*.log"))


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


@pytest.fixture(params=["redis", "rabbitmq"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    server: Server = request.getfixturevalue(f"{request.param}_server")
    url = f"{server.url.removesuffix('/0')}/7" if request.param == "redis" else server.url
    app = Umbel("told", broker=url, set_as_current=False, task_default_queue="ev_umbel")

    @app.task(name="shared.told")
    def told(number: int) -> int:
        return number + 1

    options: dict[str, Any] = {"pool": "threads", "concurrency": 1, "hostname": "umbel@told", "task_events": True}
    with contextlib.ExitStack() as stack:
        stack.enter_context(app)
        worker = stack.enter_context(Worker(app, **options))
        yield Place(request.param, url, app, told, worker, tmp_path, stack)


def until(place: Place, look: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} did not come true within {PATIENCE_S} s\n{place.logs()}"
        time.sleep(0.05)
    return found


@pytest.mark.timeout(120)
def test_celery_shows_the_events_of_umbel(place: Place) -> None:
    """``celery events --dump``, unmodified."""
    dump = place.start("celery", "-b", place.url, "events", "--dump", stdout=subprocess.PIPE)
    lines: list[str] = []
    assert dump.stdout is not None
    output = dump.stdout
    reader = threading.Thread(target=lambda: lines.extend(iter(output.readline, "")), daemon=True)
    reader.start()
    until(place, lambda: [line for line in lines if "umbel@told" in line and "heartbeat" in line], "a heartbeat")
    result = place.task.delay(41)
    done = until(
        place, lambda: [line for line in lines if result.id in line and "task succeeded" in line], "the task's end"
    )
    of_task = [line for line in lines if result.id in line]
    assert ["received" in of_task[0], "started" in of_task[1], "succeeded" in of_task[2]] == [True] * 3, of_task
    assert f"shared.told({result.id}) args=(41,) kwargs={{}}" in done[0]
    assert "result=42" in done[0]
    assert "sw_ident=py-umbel" in next(line for line in lines if "heartbeat" in line and "umbel@told" in line)


@pytest.mark.timeout(120)
def test_umbel_shows_the_events_of_celery(place: Place) -> None:
    """Its worker is a peer, and its tasks are in the state."""
    state = place.app.events.State()
    with place.app.events.Receiver(handlers={"*": state.event}) as receiver:
        options = ["-E", "-Q", "ev_celery", "-c", "1", "-n", "celery@told", "-l", "INFO", "-P", "solo"]
        place.start("celery", "-A", "interop_celery", "worker", *options)
        ids: list[str] = []

        def is_done() -> bool:
            receiver.drain(0.2)
            if "celery@told" in state.workers and not ids:
                ids.append(place.app.send_task("shared.who", queue="ev_celery").id)
            return bool(ids) and ids[0] in state.tasks and state.tasks[ids[0]].ready

        until(place, is_done, "Celery's task was seen to its end")
        until(place, lambda: "celery@told" in place.worker.gossip.peers(), "Celery's worker is a peer")
    task = state.tasks[ids[0]]
    assert (task.state, task.name, task.worker and task.worker.hostname) == ("SUCCESS", "shared.who", "celery@told")
    assert state.workers["celery@told"].sw_ident == "py-celery"


@pytest.mark.timeout(120)
def test_celerys_gossip_takes_umbels_workers_for_its_peers(place: Place) -> None:
    """Its log tells who joined."""
    options = ["-Q", "ev_celery", "-c", "1", "-n", "celery2@told", "-l", "DEBUG", "-P", "solo"]
    place.start("celery", "-A", "interop_celery", "worker", *options)
    until(place, lambda: "umbel@told joined the party" in place.logs(), "Celery's gossip heard Umbel")


def fetch(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
            return json.load(answer)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


@pytest.mark.timeout(120)
def test_flower_lists_umbels_worker_and_its_tasks(place: Place) -> None:
    """Flower, unmodified, by its HTTP interface."""
    pytest.importorskip("flower", reason="pip install flower")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--address=127.0.0.1", f"--port={port}", "--inspect_timeout=3000"]
    place.start("celery", "-A", "interop_celery", "flower", *options)
    root = f"http://127.0.0.1:{port}/api"
    until(place, lambda: fetch(f"{root}/workers?refresh=1") is not None, "Flower answers")
    result = place.task.delay(1)
    place.task.delay(2)

    def task() -> Any:
        return (fetch(f"{root}/tasks") or {}).get(result.id) or (place.task.delay(3) and None)

    found = until(place, lambda: (one := task()) and one.get("state") == "SUCCESS" and one, "Flower shows the task")
    assert (found["name"], found["args"], found["result"]) == ("shared.told", "(1,)", "2")
    assert found["worker"] == "umbel@told"
    workers = until(
        place,
        lambda: (all_ := fetch(f"{root}/workers?refresh=1")) and "umbel@told" in all_ and all_,
        "Flower's workers",
    )
    assert "shared.told" in workers["umbel@told"].get("registered", ["shared.told"])
