"""Two brokers; at each a real Celery worker and an Umbel worker; clients of both kinds in this process.

The queue ``for_celery`` is the Celery worker's, ``for_umbel`` the Umbel worker's, ``for_both`` theirs together.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import redis

from umbel import Umbel
from umbel.testing.servers import Server

HAS_CELERY = importlib.util.find_spec("celery") is not None
collect_ignore_glob = [] if HAS_CELERY or os.environ.get("CI") else ["test_*.py"]

PROGRAMS = Path(__file__).parent / "programs"
WAIT_S = 20.0
SETTINGS: dict[str, Any] = {
    "accept_content": ["json", "pickle", "yaml", "msgpack"],
    "result_accept_content": ["json", "pickle"],
}


@attrs.define
class Cluster:
    """A broker with its workers, and the two kinds of clients."""

    name: str
    broker: str
    results: str
    celery: Any
    umbel: Umbel
    notes: redis.Redis
    prefix: str = ""  # of the names of its queues

    def client(self, kind: str) -> Any:
        """Return the application of *kind*."""
        return {"celery": self.celery, "umbel": self.umbel}[kind]

    @staticmethod
    def retire(kind: str, app: Any) -> None:
        """Close an application of *kind*."""
        with contextlib.suppress(OSError):  # the broker hangs up on who was idle until the end of a long run
            app.close()
        if kind == "celery":
            with contextlib.suppress(OSError):
                app.backend.result_consumer.stop()
            # Its results would speak to their store, which is gone by then, when they are collected.
            app.backend.remove_pending_result = lambda result: None

    def noted(self, key: str) -> Any:
        """Return what a task left for the test under *key*."""
        found = self.notes.blpop([key], WAIT_S)
        assert found is not None, f"no task left word under {key!r}"
        return json.loads(found[1])


@attrs.define
class Direction:
    """A client of one kind that sends to a worker of the other."""

    cluster: Cluster
    client: str
    worker: str

    @property
    def app(self) -> Any:
        return self.cluster.client(self.client)

    @property
    def queue(self) -> str:
        return f"{self.cluster.prefix}for_{self.worker}"

    def send(self, name: str, *args: Any, **options: Any) -> Any:
        """Call the task *name* on the other side."""
        return self.app.send_task(f"shared.{name}", args, queue=options.pop("queue", self.queue), **options)

    def call(self, name: str, *args: Any, **options: Any) -> Any:
        """Call, and return the result."""
        return self.send(name, *args, **options).get(timeout=WAIT_S)

    def sig(self, name: str, *args: Any, on: str | None = None, **options: Any) -> Any:
        """Return a signature for the worker of kind *on*."""
        return self.app.signature(f"shared.{name}", args=args).set(
            queue=f"{self.cluster.prefix}for_{on or self.worker}", **options
        )


def _program(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *command], cwd=PROGRAMS, env=environment, stdout=output, stderr=output
        )


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            continue
        process.kill()
        process.wait()


def _await_workers(cluster: Cluster, folder: Path) -> None:
    deadline = time.monotonic() + 40
    waiting = [
        cluster.umbel.send_task("shared.who", queue=f"{cluster.prefix}for_{kind}") for kind in ("celery", "umbel")
    ]
    for result in waiting:
        try:
            result.get(timeout=max(1.0, deadline - time.monotonic()))
        except Exception as error:
            logs = "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in folder.glob("*.log"))
            raise AssertionError(f"the workers at {cluster.name} did not answer: {error!r}\n{logs}") from error


def _cluster(name: str, broker: str, results: str, notes: str, folder: Path, prefix: str = "") -> Iterator[Cluster]:
    from celery import Celery

    environment = {
        **os.environ,
        "INTEROP_BROKER": broker,
        "INTEROP_RESULTS": results,
        "INTEROP_NOTES": notes,
        "PYTHONPATH": str(PROGRAMS),
        "C_FORCE_ROOT": "1",  # containers of CI run as root, and Celery refuses pickle there
    }
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    common = ["-c", "2", "-l", "INFO", "-n"]
    celery_options = ["-Q", f"{prefix}for_celery,{prefix}for_both", *common, f"celery-{name}@%h", *quiet]
    umbel_options = ["-Q", f"{prefix}for_umbel,{prefix}for_both", *common, f"umbel-{name}@%h"]
    processes = [
        _program(
            ["celery", "-A", "interop_celery", "worker", *celery_options], environment, folder / f"celery-{name}.log"
        ),
        _program(["umbel", "-A", "interop_umbel", "worker", *umbel_options], environment, folder / f"umbel-{name}.log"),
    ]
    celery = Celery("client", broker=broker, backend=results, set_as_current=False)
    celery.conf.update(SETTINGS)
    umbel = Umbel("client", broker=broker, backend=results, set_as_current=False)
    umbel.conf.update(SETTINGS)
    with redis.Redis.from_url(notes) as client:
        cluster = Cluster(name, broker, results, celery, umbel, client, prefix)
        try:
            _await_workers(cluster, folder)
            yield cluster
        finally:
            _stop(processes)
            cluster.retire("umbel", umbel)
            cluster.retire("celery", celery)


@pytest.fixture(scope="session")
def interop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interop")


@pytest.fixture(scope="session")
def at_redis(redis_server: Server, interop_folder: Path) -> Iterator[Cluster]:
    root = redis_server.url.removesuffix("/0")
    yield from _cluster("redis", f"{root}/4", f"{root}/4", f"{root}/6", interop_folder)


@pytest.fixture(scope="session")
def at_rabbitmq(rabbitmq_server: Server, redis_server: Server, interop_folder: Path) -> Iterator[Cluster]:
    root = redis_server.url.removesuffix("/0")
    yield from _cluster("rabbitmq", rabbitmq_server.url, f"{root}/5", f"{root}/6", interop_folder)


@pytest.fixture(scope="session")
def at_rpc(rabbitmq_server: Server, redis_server: Server, interop_folder: Path) -> Iterator[Cluster]:
    """Results are messages to their caller; a virtual host would do, but other queues than the first cluster's are simpler."""
    root = redis_server.url.removesuffix("/0")
    yield from _cluster("rpc", rabbitmq_server.url, "rpc://", f"{root}/6", interop_folder, prefix="rpc_")


@pytest.fixture(scope="session", params=["redis", "rabbitmq"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    found: Cluster = request.getfixturevalue(f"at_{request.param}")
    return found


WAYS = ["celery to umbel", "umbel to celery"]


@pytest.fixture(params=WAYS)
def way_by_rpc(at_rpc: Cluster, request: pytest.FixtureRequest) -> Direction:
    client, worker = request.param.split(" to ")
    return Direction(at_rpc, client, worker)


@pytest.fixture(params=WAYS)
def way(cluster: Cluster, request: pytest.FixtureRequest) -> Direction:
    client, worker = request.param.split(" to ")
    return Direction(cluster, client, worker)
