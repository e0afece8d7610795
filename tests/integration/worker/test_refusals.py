"""Messages that are not run: garbage, strangers, too late, too early, too often. The worker goes on each time."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from umbel import TaskRevokedError, Umbel, signals
from umbel.exceptions import ContentDisallowed, NotRegistered
from umbel.worker import Worker

Until = Callable[..., None]
EMPTY = b'[[], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'


def running(app: Umbel, **options: Any) -> Worker:
    return Worker(app, **{"pool": "threads", "concurrency": 2, "shutdown_timeout_s": 10.0, **options})


def reasons(broker: Any) -> list[str]:
    return sorted(delivery.message.headers["x-umbel-parked-reason"] for delivery in broker.parked())


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"\x00\xffgarbage", {"task": "NAME", "id": "i1"}, "undecodable"),
        (b"[1, 2", {"task": "NAME", "id": "i1"}, "undecodable"),
        (b'"text"', {"task": "NAME", "id": "i1"}, "invalid"),
        (EMPTY, {"task": "NAME"}, "invalid"),
        (EMPTY, {"task": 7, "id": "i1"}, "invalid"),
        (b"\xff\xfe", {}, "undecodable"),
        (b"{}", {}, "invalid"),
        (EMPTY, {"task": "NAME", "id": "i1", "eta": "soon"}, "invalid"),
        (EMPTY, {"task": "NAME", "id": "i1", "eta": "99999-01-01T00:00:00"}, "invalid"),
        (EMPTY, {"task": "NAME", "id": "i1", "expires": 12}, "invalid"),
        (EMPTY, {"task": "NAME", "id": "i1", "timelimit": "fast"}, "invalid"),
        (EMPTY, {"task": "NAME", "id": "i1", "compression": "application/x-nothing"}, "undecodable"),
    ],
)
def test_what_cannot_be_read_is_parked_with_its_reason(
    umbel_app: Umbel, broker: Any, until: Until, body: bytes, headers: dict[str, Any], reason: str
) -> None:
    """[B971] [B972] [B974] [B975] never a crash, never again and again, nothing lost."""

    @umbel_app.task
    def fine() -> int:
        return 1

    filled = {name: fine.name if value == "NAME" else value for name, value in headers.items()}
    with running(umbel_app):
        broker.publish(body, filled)
        until(lambda: broker.count("celery.parked") == 1, "parking")
        assert fine.delay().get(timeout=10) == 1
        if filled.get("id") and "task" in filled and isinstance(filled["task"], str):
            assert umbel_app.AsyncResult(filled["id"]).state == "FAILURE"
    (delivery,) = broker.parked()
    assert delivery.message.headers["x-umbel-parked-reason"] == reason
    assert delivery.message.headers["x-umbel-parked-error"]
    assert delivery.message.body == body


def test_sparse_messages_of_other_clients_run(umbel_app: Umbel, broker: Any, until: Until) -> None:
    """celery-node sends three headers; protocol 1 has all in the body."""
    seen: list[tuple[int, ...]] = []

    @umbel_app.task
    def note(*args: int) -> None:
        seen.append(args)

    with running(umbel_app):
        broker.publish(b"[[1], {}, {}]", {"lang": "js", "task": note.name, "id": "n1"})
        broker.publish(json.dumps({"task": note.name, "id": "p1", "args": [2]}).encode(), {})
        until(lambda: len(seen) == 2)
        umbel_app.AsyncResult("p1").get(timeout=10)
    assert sorted(seen) == [(1,), (2,)]


def test_a_refused_content_type_is_parked_unread(umbel_app: Umbel, broker: Any, until: Until) -> None:
    @umbel_app.task
    def fine() -> int:
        return 1

    with running(umbel_app):
        broker.publish(
            b"cos\nsystem\n.", {"task": fine.name, "id": "evil"}, content_type="application/x-python-serialize"
        )
        result = umbel_app.AsyncResult("evil")
        with pytest.raises(ContentDisallowed):
            result.get(timeout=10)
    assert reasons(broker) == ["refused-content"]


@pytest.mark.umbel(task_unknown_retry_s=0)
def test_an_unknown_task_is_parked(umbel_app: Umbel, broker: Any, caplog: pytest.LogCaptureFixture) -> None:
    """[B1114]"""
    told: list[str] = []

    def on_unknown(name: str, **named: Any) -> None:
        told.append(name)

    signals.task_unknown.connect(on_unknown)
    try:
        with running(umbel_app), pytest.raises(NotRegistered):
            umbel_app.send_task("no.such.task").get(timeout=10)
    finally:
        signals.task_unknown.disconnect(on_unknown)
    assert told == ["no.such.task"]
    assert reasons(broker) == ["unknown-task"]
    assert "no.such.task" in caplog.text


def test_an_unknown_task_waits_for_a_worker_that_knows_it(umbel_app: Umbel, caplog: pytest.LogCaptureFixture) -> None:
    """A rolling deployment: the old worker takes the new task first."""
    newer = Umbel("newer", broker=umbel_app.broker_url, backend=umbel_app.backend_url, set_as_current=False)

    @newer.task(name="new.task")
    def task() -> str:
        return "known"

    try:
        with running(umbel_app, hostname="old@h") as old:
            result = umbel_app.send_task("new.task")
            deadline = time.monotonic() + 10
            while "unregistered" not in caplog.text:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            with running(newer, hostname="new@h"):
                assert result.get(timeout=20) == "known"
            assert old.stats()["total"] == {}
    finally:
        newer.close()


def test_what_comes_too_late_is_revoked(umbel_app: Umbel) -> None:
    """[B1022] [B1023] [B1024]"""
    runs: list[int] = []
    told: list[bool] = []

    def on_revoked(expired: bool, **named: Any) -> None:
        told.append(expired)

    @umbel_app.task
    def late() -> None:
        runs.append(1)

    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5)
    result = late.apply_async(expires=past)
    quiet = late.apply_async(expires=past, ignore_result=True)
    signals.task_revoked.connect(on_revoked)
    try:
        with running(umbel_app), pytest.raises(TaskRevokedError):
            result.get(timeout=10)
    finally:
        signals.task_revoked.disconnect(on_revoked)
    assert result.state == "REVOKED"
    assert quiet.state == "PENDING"
    assert runs == []
    assert all(told)
    assert told


@pytest.mark.umbel(task_acks_late=False)
def test_an_early_acknowledgement_comes_before_the_run(umbel_app: Umbel, broker: Any) -> None:
    """[B968] at most once: the message is gone when the function begins."""
    waiting: list[Any] = []
    begun, go_on = threading.Event(), threading.Event()

    @umbel_app.task
    def slow() -> int:
        begun.set()
        assert go_on.wait(20)
        return 1

    worker = running(umbel_app)
    with worker:
        result = slow.delay()
        assert begun.wait(10)
        waiting.extend(held.acknowledged for _, held in worker.jobs.items())
        go_on.set()
        assert result.get(timeout=10) == 1
    assert waiting == [True]
    assert broker.take() == []


def test_a_message_that_came_too_often_is_parked(umbel_app: Umbel, broker: Any, until: Until) -> None:
    @umbel_app.task
    def fine() -> int:
        return 1

    with running(umbel_app):
        broker.publish(EMPTY, {"task": fine.name, "id": "poison", "x-umbel-deliveries": 3})
        until(lambda: broker.count("celery.parked") == 1)
        assert umbel_app.AsyncResult("poison").state == "FAILURE"
    assert reasons(broker) == ["crashed"]


def test_a_gate_may_end_a_messages_way(umbel_app: Umbel) -> None:
    """Where revocation and rate limits stand."""

    @umbel_app.task
    def fine() -> int:
        return 1

    worker = running(umbel_app)
    worker.admission.gates.append(
        lambda held: worker.failures.revoked(held, "revoked") if held.task_id == "stop-me" else None
    )
    with worker:
        assert fine.delay().get(timeout=10) == 1
        with pytest.raises(TaskRevokedError):
            fine.apply_async(task_id="stop-me").get(timeout=10)


def test_failures_of_the_workers_own_making_call_errbacks(umbel_app: Umbel, until: Until) -> None:
    """An expired task has a defined effect on what waits for it."""
    called = threading.Event()

    @umbel_app.task
    def late() -> None: ...

    @umbel_app.task
    def errback(*args: Any) -> None:
        called.set()

    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5)
    late.apply_async(expires=past, link_error=errback.s())
    with running(umbel_app):
        assert called.wait(10)
