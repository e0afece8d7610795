"""A client of one kind, a worker of the other: calls, results, errors, times, and everything a message may carry."""

from __future__ import annotations

import datetime as dt
import decimal
import time
import uuid
from typing import Any

import celery
import pytest

import umbel

KINDS = {"celery", "umbel"}


def test_a_result_comes_back(way: Any) -> None:
    assert way.call("add", 2, 3) == 5
    assert way.call("who") == [way.worker, None]


def test_many_results_come_back(way: Any) -> None:
    results = [way.send("add", number, 1) for number in range(40)]
    assert [result.get(timeout=20) for result in results] == list(range(1, 41))


def test_values_that_json_lacks_come_back(way: Any) -> None:
    values = [
        dt.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC),
        dt.date(2026, 1, 2),
        decimal.Decimal("1.5"),
        uuid.UUID(int=1),
        b"\xff\x00",
        "ünï ☃",
        {"deep": [None, True, 1e300]},
    ]
    assert way.call("same", values) == values


@pytest.mark.parametrize("serializer", ["json", "pickle", "yaml", "msgpack"])
def test_every_serializer(way: Any, serializer: str) -> None:
    assert way.call("add", [1], [2, "ü"], serializer=serializer) == [1, 2, "ü"]


@pytest.mark.parametrize("compression", ["zlib", "bzip2", "lzma"])
def test_compression(way: Any, compression: str) -> None:
    text = "some text " * 500
    assert way.call("same", text, compression=compression) == text


@pytest.mark.parametrize(("kind", "expected"), [("ValueError", ValueError), ("KeyError", KeyError)])
def test_an_error_is_raised_again_as_its_own_type(way: Any, kind: str, expected: type[Exception]) -> None:
    result = way.send("fail", kind)
    with pytest.raises(expected) as caught:
        result.get(timeout=20)
    assert caught.value.args == ("deliberate", 42)
    assert result.state == "FAILURE"
    assert "deliberate" in result.traceback


def test_an_error_that_the_client_does_not_know_keeps_its_name(way: Any) -> None:
    with pytest.raises(Exception, match="deliberate") as caught:
        way.call("fail", "DeclaredError")
    assert type(caught.value).__name__ == "DeclaredError"


def test_retries(way: Any) -> None:
    assert way.call("flaky", 3) == [way.worker, 3]


def test_retries_that_are_used_up_raise_the_cause(way: Any) -> None:
    with pytest.raises(OSError, match="never"):
        way.call("hopeless")


def test_a_countdown_is_kept(way: Any) -> None:
    start = time.monotonic()
    assert way.call("add", 1, 1, countdown=1) == 2
    assert 1.0 <= time.monotonic() - start < 4.0


def test_an_eta_is_kept(way: Any) -> None:
    start = time.monotonic()
    eta = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.8)
    assert way.call("add", 1, 1, eta=eta) == 2
    assert 0.75 <= time.monotonic() - start < 4.0


def test_what_has_expired_is_revoked(way: Any) -> None:
    result = way.send("add", 1, 1, expires=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5))
    if way.cluster.name == "rabbitmq" and way.client == "celery":
        # Celery tells RabbitMQ to drop it, which does so in silence.
        with pytest.raises(Exception, match="timed out"):
            result.get(timeout=0.5)
        return
    with pytest.raises(Exception, match="expired") as caught:
        result.get(timeout=20)
    assert type(caught.value).__name__ == "TaskRevokedError"
    assert result.state == "REVOKED"


def test_what_has_not_expired_runs(way: Any) -> None:
    assert way.call("add", 1, 1, expires=60) == 2


def test_headers_of_the_callers_own(way: Any) -> None:
    assert way.call("request", headers={"x-own": "mine"})["x-own"] == "mine"


def test_the_request_is_told_the_same(way: Any) -> None:
    result = way.send("request", time_limit=50, soft_time_limit=40)
    seen = result.get(timeout=20)
    assert (seen["kind"], seen["id"], seen["root_id"]) == (way.worker, result.id, result.id)
    assert (seen["correlation_id"], seen["retries"], seen["routing_key"]) == (result.id, 0, way.queue)
    assert seen["timelimit"] == [50, 40]


def test_priorities_keep_their_meaning(way: Any) -> None:
    """0 is the most urgent for Celery on Redis; for Umbel and for RabbitMQ it is 9."""
    urgent = 0 if way.client == "celery" and way.cluster.name == "redis" else 9
    expected = 0 if way.worker == "celery" and way.cluster.name == "redis" else 9
    assert way.call("request", priority=urgent)["priority"] == expected


def test_protocol_1(way: Any) -> None:
    cluster = way.cluster
    kinds: dict[str, Any] = {"celery": celery.Celery, "umbel": umbel.Umbel}
    app = kinds[way.client]("old", broker=cluster.broker, backend=cluster.results, set_as_current=False)
    app.conf.task_protocol = 1
    try:
        sent = [
            app.send_task(name, args, queue=way.queue)
            for name, args in (("shared.add", (2, 3)), ("shared.flaky", (1,)))
        ]
        assert [result.get(timeout=20) for result in sent] == [5, [way.worker, 1]]
        with pytest.raises(ValueError, match="deliberate"):
            app.send_task("shared.fail", queue=way.queue).get(timeout=20)
    finally:
        cluster.retire(way.client, app)


def test_both_kinds_serve_one_queue(way: Any) -> None:
    results = [way.send("who", number, queue="for_both") for number in range(60)]
    got = [result.get(timeout=20) for result in results]
    assert [value for _, value in got] == list(range(60))
    assert {kind for kind, _ in got} <= KINDS


def test_a_client_of_each_kind_reads_the_others_result(way: Any) -> None:
    task_id = way.send("add", 20, 22).id
    for kind in KINDS:
        assert way.cluster.client(kind).AsyncResult(task_id).get(timeout=20) == 42
