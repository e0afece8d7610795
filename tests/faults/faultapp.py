"""The application of the fault runs: what a worker that gets hurt is asked to do, and what it leaves behind of it.

Each start of a task is a line of the ledger, a file that only grows, so that what the stores say can be held against
what has happened. Each start has a token of its own, which is in its result too.
"""

from __future__ import annotations

import gc
import json
import os
import secrets
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from tests.faults.faultpoints import Reaper, inside_the_commit, install

from umbel import Task, Umbel
from umbel.signals import worker_ready
from umbel.worker.committers import GenericCommitter, JointCommitter

FOLDER = Path(os.environ["FAULTS"])

app = Umbel(
    "faults",
    broker=os.environ["FAULTS_BROKER"],
    backend=os.environ["FAULTS_BACKEND"],
    task_max_deliveries=int(os.environ.get("FAULTS_DELIVERIES", "1000")),
    task_publish_timeout_s=float(os.environ.get("FAULTS_PUBLISH_TIMEOUT_S", "5")),
)
app.conf.update(json.loads(os.environ.get("FAULTS_SETTINGS", "{}")))
reaper = Reaper(FOLDER / "tokens", int(os.environ.get("FAULTS_SEED", "0")))


def _note(what: str, file: str = "effects") -> None:
    descriptor = os.open(FOLDER / file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{what}\n".encode())
    os.close(descriptor)


# -- for the runs that kill at named points -----------------------------------------------------------------------------


@app.task(bind=True, max_retries=None)
def work(self: Task[..., int], number: int) -> int:
    _note(f"work {number}")
    if os.environ.get("FAULTS_ARMED"):
        reaper.strike("child: inside the task")
    if number % 5 == 0 and self.request.retries == 0:
        raise self.retry(countdown=0.01)
    return number * 2


@app.task
def follow(value: int, number: int) -> int:
    _note(f"follow {number}")
    return value + number


# -- for the others -----------------------------------------------------------------------------------------------------


def _start(kind: str, number: int, attempt: int = 0) -> dict[str, Any]:
    token = secrets.token_hex(6)
    _note(f"{kind} {number} {attempt} {token} {time.time():.6f}", "ledger")
    return {"number": number, "token": token}


@app.task
def plain(number: int) -> dict[str, Any]:
    return _start("plain", number)


@app.task
def slow(number: int, seconds: float) -> dict[str, Any]:
    started = _start("slow", number)
    time.sleep(seconds)  # this is its work
    return started


@app.task(bind=True, max_retries=3)
def retrying(self: Task[..., Any], number: int) -> dict[str, Any]:
    started = _start("retrying", number, self.request.retries)
    if self.request.retries == 0:
        raise self.retry(countdown=0.05)
    return started


@app.task
def step(before: dict[str, Any], number: int) -> dict[str, Any]:
    assert before["number"] == number, before
    return _start("step", number)


@app.task
def part(number: int, index: int) -> dict[str, Any]:
    return _start("part", number, index)


@app.task
def total(parts: list[dict[str, Any]], number: int) -> dict[str, Any]:
    assert [part["number"] for part in parts] == [number] * 3, parts
    return _start("total", number)


def _name_of(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # the one that listed them
        return ""


def _tell_of_memory(number: int, frame: FrameType | None) -> None:
    """Write what this process holds: what grows from round to round is lost."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    names = [_name_of(number) for number in os.listdir("/proc/self/fd")]
    held = {
        "objects": len(gc.get_objects()),
        "rss_kib": pages * os.sysconf("SC_PAGESIZE") // 1024,
        "threads": threading.active_count(),
        "descriptors": len(names),
        "sockets": sum(name.startswith("socket:") for name in names),
        "pipes": sum(name.startswith("pipe:") for name in names),
    }
    _note(json.dumps(held), f"memory.{os.getpid()}")


def _tell_that_it_is_ready(**_: Any) -> None:
    _note(str(os.getpid()), "ready")


if os.environ.get("FAULTS_WORKER"):
    signal.signal(signal.SIGUSR2, _tell_of_memory)
    worker_ready.connect(_tell_that_it_is_ready, weak=False)

if os.environ.get("FAULTS_ARMED"):
    install(reaper)
    transport = app.open_transport()
    steps: list[tuple[type, str]] = [(type(transport), name) for name in ("publish", "settle")]
    steps += [(type(transport), "write_jointly")] if hasattr(transport, "write_jointly") else []
    steps += [(type(app.backend), "store")]
    steps += [(type(app.backend), "store_jointly")] if hasattr(app.backend, "store_jointly") else []
    transport.close()
    inside_the_commit(reaper, *steps)
    assert GenericCommitter is not None
    assert JointCommitter is not None
