from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from umbel import Umbel

DEADLINE_S = 20.0


class Listener:
    """Hears all events of an application in a thread, from its construction on, and remembers them in their order."""

    def __init__(self, app: Umbel, routing_key: str = "#") -> None:
        self.heard: list[dict[str, Any]] = []
        self._new: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.receiver = app.events.Receiver(handlers={"*": self._hear}, routing_key=routing_key)
        self.receiver.open()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self.receiver:
            while not self.receiver.should_stop:
                self.receiver.drain(1.0)

    def _hear(self, event: dict[str, Any]) -> None:
        self._new.put(event)

    def until(self, holds: Callable[[list[dict[str, Any]]], Any]) -> list[dict[str, Any]]:
        """Wait until *holds* of all that was heard, and return it."""
        while not holds(self.heard):
            try:
                self.heard.append(self._new.get(timeout=DEADLINE_S))
            except queue.Empty:
                pytest.fail(f"nothing new within {DEADLINE_S} s; heard {self.heard}")
        return self.heard

    def of(self, uuid: str) -> list[dict[str, Any]]:
        """Return what was heard of one task."""
        return [event for event in self.heard if event.get("uuid") == uuid]

    def until_ended(self, *uuids: str) -> list[list[dict[str, Any]]]:
        """Wait for the ends of these tasks; return the events of each."""
        ends = {"task-succeeded", "task-failed", "task-retried", "task-revoked", "task-rejected"}
        self.until(lambda heard: set(uuids) <= {each.get("uuid") for each in heard if each["type"] in ends})
        return [self.of(uuid) for uuid in uuids]

    def close(self) -> None:
        self.receiver.stop()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for a condition that no signal tells of; fails after a deadline."""

    def wait(condition: Callable[[], Any], what: str = "the condition") -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come true within {DEADLINE_S} s"
            time.sleep(0.005)

    return wait


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    with contextlib.ExitStack() as stack:

        def start(app: Umbel, routing_key: str = "#") -> Listener:
            return stack.enter_context(contextlib.closing(Listener(app, routing_key)))

        yield start
