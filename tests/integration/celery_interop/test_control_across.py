"""Remote control from one kind to the other: questions, revocation, events of all kinds of answers."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

WAIT_S = 10.0


@pytest.fixture
def node(way: Any) -> str:
    """The node of the worker at the other end."""
    found = way.app.control.inspect(timeout=2.0).ping()
    [name] = [name for name in found if name.startswith(f"{way.worker}-")]
    return str(name)


def test_both_kinds_of_workers_answer_a_ping(cluster: Any) -> None:
    for kind in ("celery", "umbel"):
        found = cluster.client(kind).control.inspect(timeout=2.0).ping()
        assert {name.partition("-")[0] for name in found} == {"celery", "umbel"}
        assert set(map(str, found.values())) == {"{'ok': 'pong'}"}


def test_questions_are_answered_in_the_same_shape(way: Any, node: str) -> None:
    asked = way.app.control.inspect([node], timeout=WAIT_S)
    assert "shared.add" in asked.registered()[node]
    stats = asked.stats()[node]
    assert {"total", "pid", "clock", "pool", "broker", "prefetch_count", "rusage"} <= stats.keys()
    assert asked.active()[node] == []
    assert asked.reserved()[node] == []
    assert asked.scheduled()[node] == []
    assert asked.conf()[node]
    assert isinstance(asked.clock()[node]["clock"], int)
    queues = {queue["name"]: queue for queue in asked.active_queues()[node]}
    assert queues[way.queue]["exchange"]["type"] == "direct"
    assert asked.query_task(["unknown"])[node] == {}
    assert "ok" in asked.report()[node]


def test_a_revoked_task_is_not_run(way: Any, node: str) -> None:
    task_id = secrets.token_hex(8)
    replies = way.app.control.revoke(task_id, reply=True, destination=[node], timeout=WAIT_S)
    assert replies == [{node: {"ok": f"tasks {{'{task_id}'}} flagged as revoked"}}]
    assert task_id in way.app.control.inspect([node], timeout=WAIT_S).revoked()[node]
    with pytest.raises(Exception, match="revoked") as caught:
        way.send("add", 1, 2, task_id=task_id).get(timeout=20)
    assert type(caught.value).__name__ == "TaskRevokedError"


def test_limits_and_queues_are_changed(way: Any, node: str) -> None:
    control = way.app.control
    options = {"reply": True, "destination": [node], "timeout": WAIT_S}
    assert control.rate_limit("shared.same", "100/s", **options) == [{node: {"ok": "new rate limit set successfully"}}]
    assert control.time_limit("shared.same", soft=20, hard=30, **options) == [
        {node: {"ok": "time limits set successfully"}}
    ]
    queue = f"more-{secrets.token_hex(4)}"
    assert control.add_consumer(queue, **options) == [{node: {"ok": f"add consumer {queue}"}}]
    assert way.call("who", queue=queue) == [way.worker, None]
    assert control.cancel_consumer(queue, **options) == [{node: {"ok": f"no longer consuming from {queue}"}}]
