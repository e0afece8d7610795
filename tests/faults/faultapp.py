"""The application of the fault tests: quick tasks, some of which retry or call others, on a worker that gets killed."""

from __future__ import annotations

import os
from pathlib import Path

from faultpoints import Reaper, inside_the_commit, install

from umbel import Task, Umbel
from umbel.worker.committers import GenericCommitter, JointCommitter

FOLDER = Path(os.environ["FAULTS"])

app = Umbel(
    "faults",
    broker=os.environ["FAULTS_BROKER"],
    backend=os.environ["FAULTS_BACKEND"],
    task_max_deliveries=1000,  # a message that was claimed counts as delivered, started or not; parking has its own tests
)
reaper = Reaper(FOLDER / "tokens", int(os.environ.get("FAULTS_SEED", "0")))


def _note(what: str) -> None:
    descriptor = os.open(FOLDER / "effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{what}\n".encode())
    os.close(descriptor)


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
