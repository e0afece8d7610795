"""What happened to tasks, put into events."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from umbel.clock import LamportClock
from umbel.context import HEADERS
from umbel.model import Delivery, Message, TaskMeta
from umbel.worker import frames
from umbel.worker.events.inbox import Inbox
from umbel.worker.events.wording import Wording
from umbel.worker.held import Held

REPORT = (0.5, "3", None, 4711, 100.0)


def held(task_id: str = "a", received_at: float = 99.0, **headers: Any) -> Held:
    """Return a task as it came in."""
    complete = {**dict.fromkeys(HEADERS), "task": "add", "id": task_id, "retries": 0, **headers}
    return Held(Delivery(Message(b"", complete), "q", 1), "add", task_id, 1, received_at=received_at)


def told(wording: Wording) -> list[tuple[str, str, float]]:
    """Return type, task and time of each event."""
    return [(event["type"], event["uuid"], event["timestamp"]) for event in wording.events()]


def wording(things: int = 10) -> Wording:
    """Return a wording that has begun its round."""
    made = Wording("w@h", LamportClock())
    made.begin(things)
    return made


def test_an_end_that_is_heard_of_first_is_told_last() -> None:
    """A task that is acknowledged early may have ended before the intake is through with its batch."""
    task, words = held(), wording()
    words.ended(101.0, [(task, frames.SUCCEEDED, REPORT, ())])
    words.received(99.0, [task])
    assert told(words) == [("task-received", "a", 99.0), ("task-started", "a", 100.0), ("task-succeeded", "a", 100.5)]
    clocks = [event["clock"] for event in words.events()]
    assert clocks == sorted(set(clocks))


def test_what_the_worker_itself_ends_was_received_before() -> None:
    task, words = held(), wording()
    words.happened(101.0, [("task-revoked", task, {"terminated": False})])
    words.received(99.0, [task])
    assert told(words) == [("task-received", "a", 99.0), ("task-revoked", "a", 101.0)]


def test_what_was_never_received_is_not_told_to_have_been() -> None:
    words = wording()
    words.happened(101.0, [("task-failed", held(received_at=0.0), {"exception": "NotRegistered()"})])
    assert told(words) == [("task-failed", "a", 101.0)]


def test_one_strange_task_is_missing_alone(caplog: pytest.LogCaptureFixture) -> None:
    strange, words = held("b"), wording()
    del strange.headers["shadow"]
    words.received(99.0, [held("a"), strange, held("c")])
    assert [event["uuid"] for event in words.events()] == ["a", "c"]
    assert "could not be put into an event" in caplog.text


def test_what_anybody_said_goes_alone_and_is_not_taken_for_plain() -> None:
    words = wording()
    words.received(99.0, [held("a")])
    words.said(99.5, [("worker-heartbeat", {"freq": 2.0})])
    words.said(99.6, [("task-odd", {"thing": object(), "type": "not this"})])
    assert [(key, is_plain) for key, _, is_plain in words.batches] == [
        ("task.multi", True),
        ("worker.heartbeat", False),
        ("task.multi", False),
    ]
    assert [event["type"] for event in words.events()] == ["task-received", "worker-heartbeat", "task-odd"]


def test_messages_are_bounded() -> None:
    words = wording(4000)
    for first in range(0, 4000, 100):
        words.received(99.0, [held(str(number)) for number in range(first, first + 100)])
    sizes = [len(what) for _, what, _ in words.batches]
    assert sum(sizes) == 4000
    assert max(sizes) <= 1600


def test_an_inbox_counts_what_is_in_its_items() -> None:
    inbox = Inbox(10)
    for name, things in (("a", 4), ("b", 6), ("c", 3)):
        inbox.put(name, things)
    assert (inbox.dropped, len(inbox)) == (4, 9)
    assert inbox.take(5) == (["b"], 6)
    inbox.put("more than there is room for", 50)
    assert (inbox.dropped, len(inbox)) == (7, 50)
    assert inbox.take(1) == (["more than there is room for"], 50)
    assert inbox.take(1) == ([], 0)


def test_a_result_and_a_report_travel_together() -> None:
    meta = TaskMeta("id", "SUCCESS", b"{}")
    for report in (REPORT, None):
        read, told_of = frames.decode_kept(frames.encode_kept(meta, report))
        assert (attrs.astuple(read), told_of) == (attrs.astuple(meta), report)
    assert frames.decode_report(frames.encode_report(REPORT)) == REPORT
