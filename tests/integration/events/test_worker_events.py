"""What a worker tells: of itself, and of tasks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from umbel import Reject, Umbel
from umbel.worker import Worker

if TYPE_CHECKING:
    from tests.integration.events.conftest import Listener

Listen = Callable[..., "Listener"]

COMMON = {"type", "hostname", "timestamp", "utcoffset", "pid", "clock", "local_received"}


def running(app: Umbel, **options: Any) -> Worker:
    return Worker(app, **{"pool": "threads", "concurrency": 1, "task_events": True, **options})


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def test_a_worker_tells_that_it_is_there_lives_and_goes(umbel_app: Umbel, listen: Listen) -> None:
    """[A443] [A444] [A445] [B208] [B953]."""
    ears = listen(umbel_app)
    with running(umbel_app, hostname="w1@here", heartbeat_interval=0.05, task_events=False):
        ears.until(lambda heard: kinds(heard).count("worker-heartbeat") >= 2)
    heard = ears.until(lambda heard: "worker-offline" in kinds(heard))
    assert kinds(heard)[0] == "worker-online"
    assert kinds(heard)[-1] == "worker-offline"
    assert set(kinds(heard)) == {"worker-online", "worker-heartbeat", "worker-offline"}
    fields = {"freq", "active", "processed", "loadavg", "sw_ident", "sw_ver", "sw_sys", "instance"}
    for event in heard:
        assert event.keys() == COMMON | fields
        assert event["hostname"] == "w1@here"
        assert event["freq"] == 0.05
        assert event["sw_ident"] == "py-umbel"
    clocks = [event["clock"] for event in heard]
    assert clocks == sorted(set(clocks))


def test_the_events_of_one_task_come_in_their_order(umbel_app: Umbel, listen: Listen) -> None:
    """[B947] [B950] [B951] [A436] [A437] [A438] [A439] with all their fields."""
    ears = listen(umbel_app)

    @umbel_app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    with running(umbel_app):
        result = add.delay(2, 3)
        [events] = ears.until_ended(result.id)
    received, started, succeeded = events
    assert kinds(events) == ["task-received", "task-started", "task-succeeded"]
    common = {"uuid": result.id}
    assert {name: received[name] for name in received.keys() - COMMON} == common | {
        "name": "add",
        "args": "(2, 3)",
        "kwargs": "{}",
        "root_id": result.id,
        "parent_id": None,
        "retries": 0,
        "eta": None,
        "expires": None,
    }
    assert started.keys() == COMMON | {"uuid"}
    assert started["pid"] == os.getpid()
    assert succeeded["result"] == "5"
    assert 0 <= succeeded["runtime"] < 5
    assert received["timestamp"] <= started["timestamp"] + 0.01
    assert started["timestamp"] <= succeeded["timestamp"]
    assert received["clock"] < started["clock"] < succeeded["clock"]


def test_failures_retries_and_rejections_are_told(umbel_app: Umbel, listen: Listen) -> None:
    """[A440] [A442] [B220]."""
    ears = listen(umbel_app)

    @umbel_app.task
    def fail() -> None:
        raise ValueError("deliberate")

    @umbel_app.task(bind=True, max_retries=1, default_retry_delay=0)
    def again(self: Any) -> str:
        if self.request.retries == 0:
            raise self.retry(exc=KeyError("not yet"))
        return "done"

    @umbel_app.task
    def refuse() -> None:
        raise Reject("no")

    with running(umbel_app):
        failed = fail.delay().id
        retried = again.delay().id
        rejected = refuse.delay().id
        ears.until_ended(failed, retried, rejected)
        ears.until(lambda heard: "task-succeeded" in kinds(ears.of(retried)))
    end = ears.of(failed)[-1]
    assert (end["type"], end["exception"]) == ("task-failed", "ValueError('deliberate')")
    assert end["traceback"].startswith("Traceback (most recent call last):")
    events = ears.of(retried)
    assert kinds(events) == [
        *("task-received", "task-started", "task-retried"),
        *("task-received", "task-started", "task-succeeded"),
    ]
    assert events[2]["exception"] == "KeyError('not yet')"
    assert events[3]["retries"] == 1
    assert kinds(ears.of(rejected)) == ["task-received", "task-started", "task-rejected"]
    assert ears.of(rejected)[-1]["requeue"] is False


def test_what_the_worker_itself_ends_is_told(umbel_app: Umbel, listen: Listen) -> None:
    """[A441] a task that comes too late, and one that nobody knows."""
    ears = listen(umbel_app)
    umbel_app.conf.task_unknown_retry_s = 0.0

    @umbel_app.task
    def late() -> None: ...

    expired = late.apply_async(expires=-1).id
    unknown = umbel_app.send_task("nobody.knows").id
    with running(umbel_app):
        ears.until_ended(expired, unknown)
    assert kinds(ears.of(expired)) == ["task-received", "task-revoked"]
    end = ears.of(expired)[-1]
    assert (end["expired"], end["terminated"], end["signum"]) == (True, False, None)
    end = ears.of(unknown)[-1]
    assert (end["type"], end["exception"]) == ("task-failed", "NotRegistered('nobody.knows')")


def test_a_long_task_is_told_to_have_started_while_it_runs(umbel_app: Umbel, listen: Listen) -> None:
    go_on = threading.Event()
    ears = listen(umbel_app)

    @umbel_app.task
    def long() -> None:
        assert go_on.wait(20)

    with running(umbel_app):
        before = time.time()
        uuid = long.delay().id
        ears.until(lambda heard: "task-started" in kinds(ears.of(uuid)))
        go_on.set()
        [events] = ears.until_ended(uuid)
    assert kinds(events) == ["task-received", "task-started", "task-succeeded"]
    assert before - 0.1 <= events[1]["timestamp"] <= time.time()


def test_events_can_be_switched_on_and_off(umbel_app: Umbel, listen: Listen) -> None:
    """[B286] [A281] and each says whether it changed anything."""
    ears = listen(umbel_app)

    @umbel_app.task
    def quick() -> None: ...

    with running(umbel_app, task_events=False) as worker:
        silent = quick.delay()
        silent.get(timeout=10)
        assert worker.events.enable_events()
        assert not worker.events.enable_events()
        loud = quick.delay().id
        ears.until_ended(loud)
        assert worker.events.disable_events()
        assert not worker.events.disable_events()
        assert worker.admission.flags == 0
        quick.delay().get(timeout=10)
        assert worker.events.enable_events()
        last = quick.delay().id
        ears.until_ended(last)
    assert {event["uuid"] for event in ears.heard if "uuid" in event} == {loud, last}
    assert kinds(ears.of(loud)) == ["task-received", "task-started", "task-succeeded"]


def test_the_events_of_many_tasks_keep_the_order_of_each(umbel_app: Umbel, listen: Listen) -> None:
    ears = listen(umbel_app)

    @umbel_app.task
    def quick(number: int) -> int:
        return number

    with running(umbel_app, concurrency=3):
        ids = [result.id for result in quick.delay_many([(number,) for number in range(500)])]
        for events in ears.until_ended(*ids):
            assert kinds(events) == ["task-received", "task-started", "task-succeeded"]


@pytest.mark.parametrize("option", ["without_heartbeat", "without_gossip"])
def test_heartbeats_and_gossip_can_be_left_out(umbel_app: Umbel, listen: Listen, option: str) -> None:
    ears = listen(umbel_app)

    @umbel_app.task
    def quick() -> None: ...

    with running(umbel_app, **{option: True}) as worker:
        uuid = quick.delay().id
        ears.until_ended(uuid)
        assert worker.gossip.peers() == {}
    assert ("worker-online" in kinds(ears.heard)) == (option == "without_gossip")


def test_a_heartbeat_can_be_asked_for(umbel_app: Umbel, listen: Listen) -> None:
    """[B219] monitors need not wait for the next one."""
    ears = listen(umbel_app)
    with running(umbel_app, heartbeat_interval=3600.0) as worker:
        ears.until(lambda heard: "worker-online" in kinds(heard))
        worker.events.send_heartbeat()
        ears.until(lambda heard: "worker-heartbeat" in kinds(heard))


def test_tasks_in_processes_are_told_of_too(tmp_path: Path, listen: Listen) -> None:
    """[B207] [B952] with the process that ran them, and with results that are kept."""
    url = f"sqlite:///{tmp_path}/store.db"
    with Umbel("processes", broker=url, backend=url, set_as_current=False) as app:

        @app.task
        def pid() -> int:
            return os.getpid()

        ears = listen(app)
        with running(app, pool="prefork", hostname="w@h"):
            results = [pid.delay() for _ in range(5)]
            for result, events in zip(results, ears.until_ended(*[one.id for one in results]), strict=True):
                assert kinds(events) == ["task-received", "task-started", "task-succeeded"]
                assert events[1]["pid"] == result.get(timeout=20) != os.getpid()
