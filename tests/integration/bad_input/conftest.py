"""A project in a folder of its own, workers started in it as programs, and its commands."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from umbel import AsyncResult, Umbel
from umbel.model import Message, Publication, Queue

UMBEL = [sys.executable, "-m", "umbel"]
DEADLINE_S = 30.0

#: A module of tasks: what a test adds comes after it.
MODULE = """
import os, sys, time
from umbel import Umbel

URL = "sqlite:///" + os.path.abspath("store/queue.db") + os.environ.get("URL_OPTIONS", "")
app = Umbel("proj", broker=URL, backend=URL)

@app.task
def add(x, y):
    return x + y
"""


class Node:
    """A running ``umbel worker`` and what it has written."""

    def __init__(self, directory: Path, options: tuple[str, ...], environment: dict[str, str], **popen: Any) -> None:
        self.process = subprocess.Popen(
            [*UMBEL, "-A", "proj", "worker", "-l", "info", *options],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            **{"stdin": subprocess.DEVNULL, **popen},
        )
        self.text = ""
        self._has_ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.text += line.decode("utf-8", "backslashreplace")
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def wait_for(self, pattern: str, times: int = 1) -> str:
        """Wait until *pattern* was written *times* times; return what matched."""
        deadline = time.monotonic() + DEADLINE_S
        with self._changed:
            while True:
                found = list(re.finditer(pattern, self.text))
                if len(found) >= times:
                    return found[times - 1].group(0)
                left_s = deadline - time.monotonic()
                assert left_s > 0, f"{pattern!r} was not written in time; this was:\n{self.text}"
                assert not self._has_ended, f"{pattern!r} was not written; this was:\n{self.text}"
                self._changed.wait(left_s)

    def stop(self, signal_name: str = "TERM") -> int:
        """Send the signal, wait for the end, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(getattr(signal, f"SIG{signal_name}"))
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.stop()
            raise


class Project:
    """The folder, and an application that knows its store and none of its tasks."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = directory / "store" / "queue.db"
        self.store.parent.mkdir()
        self.app = Umbel(
            "client",
            broker=f"sqlite:///{self.store}",
            backend=f"sqlite:///{self.store}",
            set_as_current=False,
            task_publish_retry=False,
        )
        self.write("")

    def write(self, tasks: str) -> None:
        """Make the module of tasks anew: the usual one, and *tasks* after it."""
        (self.directory / "proj.py").write_text(MODULE + tasks)

    def start(self, *options: str, ready: bool = True, environment: dict[str, str] | None = None, **popen: Any) -> Node:
        """Start a worker with prefork, and wait until it is ready."""
        node = Node(self.directory, options, environment or {}, **popen)
        if ready:
            try:
                node.wait_for(r"\S+ ready\.")
            except BaseException:
                node.process.kill()
                node.stop()
                raise
        return node

    def umbel(self, *arguments: str, code: int = 0, app: str = "proj") -> str:
        """Run ``umbel -A proj ARGUMENTS``, expect its exit code, and return what it wrote."""
        done = subprocess.run(
            [*UMBEL, "-A", app, *arguments],
            cwd=self.directory,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=60,
            check=False,
        )
        written = done.stdout + done.stderr
        assert done.returncode == code, written
        return written.strip()

    def send(self, name: str, *args: Any, **options: Any) -> AsyncResult[Any]:
        """Call the task ``proj.NAME``."""
        return self.app.send_task(f"proj.{name}", args, **options)

    def publish(self, body: bytes, headers: dict[str, Any], **fields: Any) -> None:
        """Publish a message as any other program might."""
        message = Message(body, headers, {}, **fields)
        with contextlib.closing(self.app.open_transport()) as transport:
            transport.declare([Queue(name="celery")])
            transport.publish([Publication(message, Queue(name="celery"), "", "celery")], 5.0)

    def count(self, queue: str = "celery") -> int:
        """Return how many messages wait in *queue*."""
        with contextlib.closing(self.app.open_transport()) as transport:
            return transport.count([queue])[0]

    def works(self) -> bool:
        """Say whether a plain task comes to its end."""
        return bool(self.send("add", 2, 2).get(timeout=DEADLINE_S) == 4)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.app.close()


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for a condition that no signal tells of; fails after a deadline."""

    def wait(condition: Callable[[], Any], what: str = "the condition") -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come true within {DEADLINE_S} s"
            time.sleep(0.02)

    return wait
