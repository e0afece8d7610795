"""Workflows over a real worker in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from umbel import Ignore, Reject, Task, Umbel

DEADLINE_S = 20.0


class Broken(Exception):
    """An error of the tests' own."""


class Tasks:
    """The tasks of a test, and what they noted: (name, arguments) in the order of their calls."""

    def __init__(self, app: Umbel) -> None:
        self.app = app
        self.seen: list[tuple[Any, ...]] = []
        self._changed = threading.Condition()
        for name in ("add", "total", "ident", "fail", "note", "odd", "handle", "flaky", "ignored", "rejected"):
            setattr(self, name, getattr(self, f"_{name}")(app))

    def tell(self, *what: Any) -> None:
        with self._changed:
            self.seen.append(what)
            self._changed.notify_all()

    def wait(self, count: int) -> list[tuple[Any, ...]]:
        """Return what was noted once it is *count* entries, and fail when that does not come true."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.seen) >= count, DEADLINE_S), self.seen
            return list(self.seen)

    def _add(self, app: Umbel) -> Any:
        return app.task(name="add")(lambda x, y: x + y)

    def _total(self, app: Umbel) -> Any:
        return app.task(name="total")(sum)

    def _ident(self, app: Umbel) -> Any:
        return app.task(name="ident")(lambda value: value)

    def _fail(self, app: Umbel) -> Any:
        def fail(*args: Any) -> None:
            raise Broken("because")

        return app.task(name="fail")(fail)

    def _note(self, app: Umbel) -> Any:
        return app.task(name="note", bind=True)(lambda task, *args: self.tell(*args))

    def _odd(self, app: Umbel) -> Any:
        return app.task(name="odd")(lambda *args: object())

    def _handle(self, app: Umbel) -> Any:
        def handle(request: Any, exc: Any, traceback: Any) -> None:
            self.tell("handle", request.id, type(exc).__name__)

        return app.task(name="handle")(handle)

    def _flaky(self, app: Umbel) -> Any:
        def flaky(task: Task[..., Any], value: Any) -> Any:
            if not task.request.retries:
                raise task.retry(countdown=0)
            return value

        return app.task(name="flaky", bind=True)(flaky)

    def _ignored(self, app: Umbel) -> Any:
        def ignored(*args: Any) -> None:
            raise Ignore("nothing of interest")

        return app.task(name="ignored")(ignored)

    def _rejected(self, app: Umbel) -> Any:
        def rejected(*args: Any) -> None:
            raise Reject("not this one")

        return app.task(name="rejected")(rejected)


@pytest.fixture
def tasks(umbel_app: Umbel) -> Any:
    return Tasks(umbel_app)


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for a condition that no signal tells of; fails after a deadline."""

    def wait(condition: Callable[[], Any], what: str = "the condition") -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come true within {DEADLINE_S} s"
            time.sleep(0.005)

    return wait
