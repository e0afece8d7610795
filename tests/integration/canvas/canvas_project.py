"""The application of the tests of workflows over SQLite and forked processes."""

from __future__ import annotations

import os
import pathlib
import signal
from typing import Any

from umbel import Umbel

app = Umbel("canvas", set_as_current=False, task_max_deliveries=2, result_extended=True)


@app.task
def ident(value: Any) -> Any:
    return value


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task
def note(value: Any, path: str) -> Any:
    with pathlib.Path(path).open("a") as notes:
        notes.write(f"{value}\n")
    return value


@app.task
def die(times: int, path: str) -> str:
    """Kill the process of the pool for the first *times* times."""
    with pathlib.Path(path).open("a") as notes:
        notes.write("x")
    if pathlib.Path(path).stat().st_size <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return "lived"


@app.task(time_limit=0.3)
def slow() -> None:
    while True:
        signal.pause()
