"""Events over every transport that has broadcasts."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from umbel import Umbel
from umbel.testing.servers import Server
from umbel.worker import Worker

if TYPE_CHECKING:
    from tests.integration.events.conftest import Listener

Listen = Callable[..., "Listener"]
Until = Callable[..., None]

BROKERS = ["memory", "sqlite", "filesystem", "redis", "rabbitmq", "postgres"]
KEEPING = ["sqlite", "filesystem", "rabbitmq", "postgres"]
_numbers = itertools.count()

MONITOR = """
import sys
from umbel import Umbel
app = Umbel("monitored", broker=sys.argv[1], set_as_current=False)
receiver = app.events.Receiver(node_id="monitor")
receiver.open()
print("listening", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def broker_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name = request.param
    if name == "memory":
        return f"memory://events-{next(_numbers)}"
    if name in ("sqlite", "filesystem"):
        return f"{name}:///{tmp_path}/broker"
    server: Server = request.getfixturevalue(f"{name}_server")
    return f"{server.url.removesuffix('/0')}/8" if name == "redis" else server.url


@pytest.fixture
def app(broker_url: str) -> Iterator[Umbel]:
    prefix = f"ev{next(_numbers)}"
    # An exchange of its own, since servers are shared with other tests.
    settings: dict[str, Any] = {
        "event_exchange": prefix,
        "event_queue_prefix": prefix,
        "task_default_queue": f"{prefix}.q",
    }
    with Umbel("monitored", broker=broker_url, set_as_current=False, **settings) as made:
        made.conf.control_exchange = prefix
        yield made


@pytest.mark.parametrize("broker_url", BROKERS, indirect=True)
def test_two_workers_and_two_monitors(app: Umbel, listen: Listen, until: Until) -> None:
    """[B193] each monitor has its own copy, narrowed as it likes; the workers hear each other."""

    @app.task
    def quick() -> str:
        return "done"

    everything, of_tasks = listen(app), listen(app, "task.#")
    options: dict[str, Any] = {"pool": "threads", "concurrency": 1, "heartbeat_interval": 0.2, "task_events": True}
    with Worker(app, hostname="a@h", **options) as a, Worker(app, hostname="b@h", **options) as b:
        until(lambda: list(a.gossip.peers()) == ["b@h"], "a heard b")
        until(lambda: list(b.gossip.peers()) == ["a@h"], "b heard a")
        ids = [result.id for result in quick.delay_many([()] * 20)]
        for ears in (everything, of_tasks):
            for events in ears.until_ended(*ids):
                assert [event["type"] for event in events] == ["task-received", "task-started", "task-succeeded"]
    everything.until(lambda heard: [each["type"] for each in heard].count("worker-offline") == 2)
    assert {event["hostname"] for event in everything.heard} == {"a@h", "b@h"}
    assert {event["type"].partition("-")[0] for event in of_tasks.heard} == {"task"}


@pytest.mark.parametrize("broker_url", BROKERS, indirect=True)
def test_own_events_and_the_queue_of_a_monitor_that_has_left(app: Umbel) -> None:
    """[B649] [B1147] nobody need listen; who has left leaves nothing behind."""
    with app.events.Dispatcher(hostname="me@here") as dispatcher:
        dispatcher.send("custom-before", n=0)
        with app.events.Receiver(node_id="one") as receiver:
            dispatcher.send("custom-thing", n=1)
            [event] = list(receiver.itercapture(limit=1, timeout=20, wakeup=False))
            assert (event["type"], event["n"], event["hostname"]) == ("custom-thing", 1, "me@here")
        dispatcher.send("custom-after", n=2)
    with contextlib.closing(app.open_transport()) as transport:
        assert transport.count([f"{app.conf.event_queue_prefix}.one"]) == [0]


@pytest.mark.parametrize("broker_url", KEEPING, indirect=True)
def test_the_queue_of_a_monitor_that_was_killed_does_not_grow(app: Umbel, broker_url: str, until: Until) -> None:
    program = MONITOR.replace('"monitored", ', f'"monitored", event_exchange={app.conf.event_exchange!r}, ')
    with subprocess.Popen(
        [sys.executable, "-c", program, broker_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as monitor:
        assert monitor.stdout is not None
        assert monitor.stdout.readline() == "listening\n"
        with app.events.Dispatcher() as dispatcher, contextlib.closing(app.open_transport()) as transport:
            dispatcher.send("custom-thing")
            monitor.kill()
            monitor.wait(20)

            def is_gone() -> bool:
                before = transport.count(["celeryev.monitor"])[0]
                dispatcher.send("custom-thing")
                # Others that consume clean up after the dead.
                with app.events.Receiver(node_id="other") as receiver:
                    receiver.drain(0.0)
                return before == 0 == transport.count(["celeryev.monitor"])[0]

            until(is_gone, "the queue of the killed monitor was removed")


@pytest.mark.parametrize("broker_url", ["memory", "sqlite", "redis"], indirect=True)
def test_task_sent_is_told_by_clients(app: Umbel, listen: Listen) -> None:
    """[B033] [A436] [A583]."""
    app.conf.task_send_sent_event = True
    ears = listen(app)

    @app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    one = add.apply_async((1, 2), countdown=3600).id
    ears.until(lambda heard: len(heard) == 1)
    many = [result.id for result in add.delay_many([(1, 2)] * 3)]
    heard = ears.until(lambda heard: len(heard) == 4)
    assert [event["uuid"] for event in heard] == [one, *many]
    first = heard[0]
    assert {name: first[name] for name in ("type", "name", "args", "kwargs", "retries", "parent_id", "root_id")} == {
        "type": "task-sent",
        "name": "add",
        "args": "(1, 2)",
        "kwargs": "{}",
        "retries": 0,
        "parent_id": None,
        "root_id": one,
    }
    assert (first["queue"], first["routing_key"]) == (app.conf.task_default_queue, app.conf.task_default_queue)
    assert first["eta"] is not None
    assert "@" in first["hostname"]
