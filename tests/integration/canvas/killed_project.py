"""A worker that kills itself at a point of the commit that completes a chord: ``killed_project.py URL BACKEND POINT MARK``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from umbel import Umbel
from umbel.worker import Worker


def make_app(broker: str, backend: str) -> Umbel:
    app = Umbel("killed", broker=broker, backend=backend, set_as_current=False)
    app.task(name="ident")(lambda value: value)
    app.task(name="gather")(lambda values: values)
    return app


def die_once(mark: Path) -> None:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def before(function: Callable[..., Any], mark: Path, completing: Callable[[Any], bool]) -> Callable[..., Any]:
    def wrapped(*args: Any) -> Any:
        if completing(args):
            die_once(mark)
        return function(*args)

    return wrapped


def after(function: Callable[..., Any], mark: Path) -> Callable[..., Any]:
    """Die when the answer says that a chord is complete: it is in the store, and nothing was sent yet."""

    def wrapped(*args: Any) -> Any:
        answer = function(*args)
        joined = answer[0] if isinstance(answer, tuple) else answer
        if joined:
            die_once(mark)
        return answer

    return wrapped


def main(broker: str, backend: str, point: str, mark: str) -> None:
    app = make_app(broker, backend)
    store: Any = app.backend
    done: list[Any] = []

    def is_last(args: Any) -> bool:
        parts = args[-1]
        done.extend(parts)
        return len({part.task_id for part in done}) == 3

    for name in ("join", "store_jointly"):
        if hasattr(store, name):
            own = getattr(store, name)
            made = before(own, Path(mark), is_last) if point == "before the join" else after(own, Path(mark))
            if point != "before the conclusion":
                setattr(store, name, made)
    if point == "before the conclusion":
        store.conclude = before(store.conclude, Path(mark), lambda args: True)
    with Worker(app, pool="threads", concurrency=1) as worker:
        worker.wait_until_stopped()


if __name__ == "__main__":
    main(*sys.argv[1:])
