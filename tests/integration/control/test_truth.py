"""A revocation is true for workers that are not there when it is made."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from umbel.exceptions import ImproperlyConfigured, TaskRevokedError
from umbel.worker import Worker


@pytest.fixture
def keeps(site: Any) -> Any:
    """A site whose broker keeps revocations."""
    if site.app.broker_url.startswith("amqp"):
        pytest.skip("RabbitMQ keeps no revocations; --statedb does")
    return site


def test_what_is_revoked_while_no_worker_runs_is_not_run(keeps: Any) -> None:
    result = keeps.app.send_task("control.add", (1, 2))
    keeps.app.control.revoke(result.id)
    keeps.worker()
    with pytest.raises(TaskRevokedError):
        result.get(timeout=20)
    assert keeps.ran == []


def test_a_stamp_that_is_revoked_while_no_worker_runs_holds(keeps: Any) -> None:
    mark = secrets.token_hex(4)
    stamped = keeps.app.signature("control.add", (1, 1))
    stamped.stamp(batch=mark)
    result = stamped.apply_async()
    keeps.app.control.revoke_by_stamped_headers({"batch": mark})
    keeps.worker()
    with pytest.raises(TaskRevokedError):
        result.get(timeout=20)


def test_a_worker_that_was_told_by_celery_tells_those_that_come_later(keeps: Any) -> None:
    """A command without our header: the worker that hears it writes it into the store."""
    task_id = secrets.token_hex(8)
    first = Worker(keeps.app, hostname="first@here", pool="threads", concurrency=1)
    with first:
        first.control.listener.wait_until_heard(20)
        keeps.app.control.broadcast("revoke", {"task_id": task_id}, reply=True, destination=None, limit=1, timeout=20)
    assert task_id in first.control.revoked.ids()
    second = keeps.worker("second@here")
    result = keeps.app.send_task("control.add", (1, 2), task_id=task_id)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=20)
    assert task_id in second.control.revoked.ids()


def test_what_is_written_into_the_store_is_found_without_a_command(keeps: Any, until: Any) -> None:
    """A broadcast may be lost while a worker reconnects; the store is asked every second."""
    from umbel.control.revoking import by_ids, remember

    worker = keeps.worker()
    task_id = secrets.token_hex(8)
    assert remember(keeps.app, by_ids([task_id]))
    until(lambda: task_id in worker.control.revoked.ids(), "the worker's knowledge")


def test_for_one_destination_it_is_no_truth_for_all(memory_site: Any) -> None:
    task_id = secrets.token_hex(8)
    memory_site.app.control.revoke(task_id, destination=["other@here"])
    memory_site.worker()
    assert memory_site.app.send_task("control.add", (1, 2), task_id=task_id).get(timeout=20) == 3


def test_the_state_file_keeps_what_is_revoked(memory_site: Any, tmp_path: Path) -> None:
    """[B1020] [A257]: with one destination the store is not told, so this is the file's doing."""
    memory_site.app.conf.worker_state_db = str(tmp_path / "%n.state")
    worker = Worker(memory_site.app, hostname="w1@here", pool="threads", concurrency=1)
    with worker:
        worker.control.listener.wait_until_heard(20)
        memory_site.app.control.revoke("kept", destination=["w1@here"], reply=True, timeout=20)
        memory_site.app.control.revoke_by_stamped_headers(
            {"batch": ["7"]}, destination=["w1@here"], reply=True, timeout=20
        )
    assert (tmp_path / "w1.state").stat().st_mode & 0o777 == 0o600
    again = memory_site.worker("w1@here")
    assert again.control.revoked.ids() == ["kept"]
    assert again.control.revoked.stamps() == {"batch": ["7"]}


def test_a_foreign_file_is_refused_and_left_alone(memory_site: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(b"\x00\x01 somebody's")
    memory_site.app.conf.worker_state_db = str(path)
    worker = Worker(memory_site.app, hostname="w1@here", pool="threads", concurrency=1)
    with pytest.raises(ImproperlyConfigured, match="to be a state file of an Umbel worker"):
        worker.start()
    assert path.read_bytes() == b"\x00\x01 somebody's"
