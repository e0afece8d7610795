"""What is revoked is not run."""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from umbel import group
from umbel.exceptions import TaskRevokedError
from umbel.model import Message, Publication


def test_a_revoked_task_is_not_run(site: Any) -> None:
    """[A274] [B1022]."""
    site.worker()
    task_id = secrets.token_hex(8)
    assert site.app.control.revoke(task_id, reply=True, destination=["w1@here"]) == [
        {"w1@here": {"ok": f"tasks {{'{task_id}'}} flagged as revoked"}}
    ]
    result = site.app.send_task("control.add", (1, 2), task_id=task_id)
    with pytest.raises(TaskRevokedError, match="revoked"):
        result.get(timeout=20)
    assert result.state == "REVOKED"
    assert site.app.send_task("control.add", (3, 4)).get(timeout=20) == 7
    assert site.ran == [(3, 4)]


def test_a_list_is_revoked(memory_site: Any) -> None:
    memory_site.worker()
    results = [memory_site.app.send_task("control.add", (n, n), countdown=0.3) for n in range(3)]
    memory_site.app.control.revoke([result.id for result in results[:2]])
    assert results[2].get(timeout=20) == 4
    for result in results[:2]:
        with pytest.raises(TaskRevokedError):
            result.get(timeout=20)


def test_what_is_held_and_not_started_is_revoked_at_once(memory_site: Any) -> None:
    memory_site.worker(concurrency=1)
    blocking = memory_site.app.send_task("control.hold", ("first",))
    memory_site.gate.has_arrived()
    waiting = memory_site.app.send_task("control.hold", ("second",))
    memory_site.app.control.revoke(waiting.id)
    with pytest.raises(TaskRevokedError):
        waiting.get(timeout=20)
    memory_site.gate.open()
    assert blocking.get(timeout=20) == "first"


def test_what_is_held_until_it_is_due_is_revoked_at_once(memory_site: Any, until: Callable[..., None]) -> None:
    """[B1021]."""
    app = memory_site.app
    worker = memory_site.worker()
    worker.admission.holds_delayed = False  # as with a broker that cannot hold them
    eta = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
    message = Message(b"[[1, 2], {}, {}]", {"task": "control.add", "id": "later", "eta": eta}, {})
    queue = app.queues.find(app.conf.task_default_queue)
    with contextlib.closing(app.open_transport()) as transport:
        transport.publish([Publication(message, queue, "", queue.name)], 5.0)
    until(worker.admission.waiting)
    app.control.revoke("later")
    with pytest.raises(TaskRevokedError):
        app.AsyncResult("later").get(timeout=20)
    assert memory_site.ran == []


def test_a_running_task_is_left_alone(memory_site: Any) -> None:
    """[A274]."""
    memory_site.worker()
    result = memory_site.app.send_task("control.hold", ("on",))
    memory_site.gate.has_arrived()
    memory_site.app.control.revoke(result.id, reply=True, destination=["w1@here"])
    memory_site.gate.open()
    assert result.get(timeout=20) == "on"


def test_a_pool_that_cannot_terminate_says_so(memory_site: Any) -> None:
    memory_site.worker()
    result = memory_site.app.send_task("control.hold", ("on",))
    memory_site.gate.has_arrived()
    [reply] = memory_site.app.control.terminate(result.id, reply=True, destination=["w1@here"])
    assert "the pool 'threads' cannot stop a task that runs" in reply["w1@here"]["error"]
    memory_site.gate.open()
    assert result.get(timeout=20) == "on"


def test_a_signal_that_is_none_is_refused_and_nothing_is_revoked(memory_site: Any) -> None:
    worker = memory_site.worker()
    [reply] = memory_site.app.control.revoke("x", terminate=True, signal="SIGKIL", reply=True, destination=["w1@here"])
    assert reply["w1@here"]["error"] == "expected the name of a signal, got 'SIGKIL'; did you mean 'SIGKILL'?"
    assert worker.control.revoked.ids() == []


def test_tasks_are_revoked_by_stamp(site: Any) -> None:
    site.worker()
    mark = secrets.token_hex(4)
    site.app.control.revoke_by_stamped_headers({"batch": [mark]}, reply=True, destination=["w1@here"])
    stamped = site.app.signature("control.add", (1, 1))
    stamped.stamp(batch=mark)
    result = stamped.apply_async()
    with pytest.raises(TaskRevokedError):
        result.get(timeout=20)
    other = site.app.signature("control.add", (2, 2))
    other.stamp(batch="another")
    assert other.apply_async().get(timeout=20) == 4


def test_a_chord_is_told_of_a_revoked_member(memory_site: Any) -> None:
    memory_site.worker()
    app = memory_site.app
    header = [app.signature("control.add", (n, n)).set(task_id=f"member-{n}") for n in range(3)]
    app.control.revoke("member-1", reply=True, destination=["w1@here"])
    result = (group(header, app=app) | app.signature("control.hold", ("body",))).apply_async()
    with pytest.raises(Exception, match="member-1"):
        result.get(timeout=20)


def test_ids_are_checked(memory_site: Any) -> None:
    with pytest.raises(TypeError, match="expected the id of a task or a list of ids, got 7"):
        memory_site.app.control.revoke(7)
    with pytest.raises(TypeError, match="name of a stamp"):
        memory_site.app.control.revoke_by_stamped_headers(["a"])
    with pytest.raises(ValueError, match="destination to be a list of node names, got 7"):
        memory_site.app.control.ping(7)
