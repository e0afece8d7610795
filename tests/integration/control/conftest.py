"""Applications over every broker that carries remote control, and the means to wait."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest

from umbel import Umbel
from umbel.worker import Worker

DEADLINE_S = 20.0
SILENCE_S = 0.4

#: What needs no server; the others come from the fixtures of the whole run.
BROKERS = ["memory", "sqlite", "filesystem", "redis", "amqp", "postgres"]


@attrs.define(eq=False)
class Gate:
    """Holds a task until the test lets it go on."""

    arrived: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0))
    opened: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0))

    def wait(self) -> None:
        """In the task: say that it runs, and wait."""
        self.arrived.release()
        assert self.opened.acquire(timeout=DEADLINE_S)

    def has_arrived(self, count: int = 1) -> None:
        """In the test: wait until so many tasks run."""
        for _ in range(count):
            assert self.arrived.acquire(timeout=DEADLINE_S), "the task did not start"

    def open(self, count: int = 1) -> None:
        """Let so many go on."""
        for _ in range(count):
            self.opened.release()


@attrs.define(eq=False)
class Site:
    """An application with a few tasks, and workers of it in threads of this process."""

    app: Umbel
    gate: Gate
    stack: ExitStack
    ran: list[Any] = attrs.field(factory=list)

    def worker(self, name: str = "w1@here", **options: Any) -> Worker:
        """Start a worker; it hears commands on return."""
        options = {"pool": "threads", "concurrency": 2, "shutdown_timeout_s": 5.0, **options}
        worker = Worker(self.app, hostname=name, **options)
        self.stack.enter_context(worker)
        assert worker.control.listener.wait_until_heard(DEADLINE_S)
        return worker


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for a condition that no signal tells of; fails after a deadline."""

    def wait(condition: Callable[[], Any], what: str = "the condition") -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come true within {DEADLINE_S} s"
            time.sleep(0.005)

    return wait


def make_site(url: str, backend: str, stack: ExitStack) -> Site:
    token = secrets.token_hex(4)  # servers are shared by the tests; names are not
    app = Umbel(
        "control",
        broker=url,
        backend=backend,
        set_as_current=False,
        control_exchange=f"c{token}",
        task_default_queue=f"q{token}",
    )
    stack.callback(app.close)
    site = Site(app, Gate(), stack)

    @app.task(name="control.add")
    def add(x: int, y: int) -> int:
        site.ran.append((x, y))
        return x + y

    @app.task(name="control.hold")
    def hold(mark: str = "") -> str:
        site.gate.wait()
        site.ran.append(mark)
        return mark

    return site


def broker_url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Return the URL of an empty store."""
    if kind == "memory":
        return f"memory://{secrets.token_hex(6)}"
    if kind == "sqlite":
        return f"sqlite:///{folder}/broker.db"
    if kind == "filesystem":
        return f"filesystem://{folder}/broker"
    server = request.getfixturevalue({"redis": "redis_server", "amqp": "rabbitmq_server"}.get(kind, "postgres_server"))
    return str(server.url)


@pytest.fixture
def memory_site() -> Iterator[Site]:
    """An application over memory."""
    url = f"memory://{secrets.token_hex(6)}"
    with ExitStack() as stack:
        yield make_site(url, url, stack)


@pytest.fixture(params=BROKERS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """An application over each broker, one after the other."""
    url = broker_url(request.param, request, tmp_path)
    with ExitStack() as stack:
        yield make_site(url, f"memory://{secrets.token_hex(6)}", stack)
