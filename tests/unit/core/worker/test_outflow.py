from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from umbel.exceptions import BackendStoreError, EncodeError, OperationalError
from umbel.model import Commit, Delivery, Message, TaskMeta
from umbel.worker.endings import Ending, Verdict
from umbel.worker.held import Held
from umbel.worker.line import CommitLine
from umbel.worker.outflow import Batch, Item, Outflow, Report

DEADLINE_S = 20


def held(task_id: str = "1") -> Held:
    return Held(Delivery(Message(b"", {"id": task_id}), "q", task_id), "t", task_id, 1)


def meta(task_id: str) -> TaskMeta:
    return TaskMeta(task_id, "SUCCESS", b"{}")


class Line:
    """Stands where broker and store are; says what was committed, and fails as *fail* says."""

    def __init__(self) -> None:
        self.committed: list[Commit] = []
        self.calls = 0
        self.resets = 0
        self.closed = 0
        self.fail: Callable[[Commit], Exception | None] = lambda commit: None

    def commit(self, commit: Commit) -> None:
        self.calls += 1
        error = self.fail(commit)
        if error is not None:
            raise error
        self.committed.append(commit)

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed += 1

    @property
    def acked(self) -> list[str]:
        return [delivery.tag for commit in self.committed for delivery in commit.settlement.acks]

    @property
    def requeued(self) -> list[str]:
        return [delivery.tag for commit in self.committed for delivery in commit.settlement.requeues]

    @property
    def stored(self) -> list[str]:
        return [meta.task_id for commit in self.committed for meta in commit.metas]


def translate(item: Item, batch: Batch) -> None:
    if isinstance(item, Ending):
        batch.endings.append(item)
    elif item is not None:
        batch.acks.append(cast("Any", item)[0])


def spoil(ending: Ending, problem: Exception) -> Ending:
    assert ending.held is not None
    return Ending(ending.held, metas=[TaskMeta(ending.held.task_id, "FAILURE", b"spoilt")])


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def outflow(line: Line) -> Iterator[Outflow]:
    made = Outflow(cast("CommitLine", line), translate, spoil, lambda count: None)
    made.start()
    yield made
    made.stop(0.1)


def test_what_is_there_goes_in_one_commit(line: Line) -> None:
    outflow = Outflow(cast("CommitLine", line), translate, spoil, lambda count: None)
    for number in range(5):
        outflow.put(cast("Any", [held(str(number))]))
    outflow.put(Ending(held("x"), metas=[meta("x")]))
    outflow.start()
    assert outflow.flush(DEADLINE_S)
    assert [len(commit.settlement.acks) for commit in line.committed] == [6]
    assert line.stored == ["x"]
    assert outflow.stop(1) == 0
    assert line.closed == 1


def test_a_requeue_is_a_settlement_of_its_time(line: Line, outflow: Outflow) -> None:
    outflow.put(Ending(held("a"), Verdict.REQUEUE, requeue_at=5.0, uncounted=True))
    outflow.put(Ending(held("b"), Verdict.REQUEUE))
    outflow.put(Ending(held("c"), Verdict.REJECT))
    assert outflow.flush(DEADLINE_S)
    settlements = [commit.settlement for commit in line.committed]
    assert {(s.requeue_at, s.uncounted, s.requeues[0].tag) for s in settlements if s.requeues} == {
        (5.0, True, "a"),
        (None, False, "b"),
    }
    assert [delivery.tag for s in settlements for delivery in s.rejects] == ["c"]


def test_nothing_is_lost_while_the_broker_is_down(line: Line, outflow: Outflow) -> None:
    """[B983] the commit is kept and repeated, and readiness says the truth."""
    down = threading.Event()
    down.set()
    tried = threading.Semaphore(0)

    def fail(commit: Commit) -> Exception | None:
        tried.release()
        return OperationalError("broker down") if down.is_set() else None

    line.fail = fail
    outflow.put(Ending(held("a"), metas=[meta("a")]))
    for _ in range(3):
        assert tried.acquire(timeout=DEADLINE_S)
    assert not outflow.is_healthy
    assert "broker down" in (outflow.trouble or "")
    assert line.resets >= 2
    down.clear()
    assert outflow.flush(DEADLINE_S)
    assert line.acked == ["a"]
    assert line.stored == ["a"]
    assert outflow.is_healthy


def test_a_poisoned_end_is_replaced_and_blocks_nobody(line: Line, outflow: Outflow) -> None:
    def fail(commit: Commit) -> Exception | None:
        if any(each.task_id == "bad" and each.payload != b"spoilt" for each in commit.metas):
            return EncodeError("a set has no JSON")
        return None

    line.fail = fail
    for name in ("one", "bad", "two"):
        outflow.put(Ending(held(name), metas=[meta(name)]))
    outflow.put(cast("Any", [held("three")]))
    assert outflow.flush(DEADLINE_S)
    assert sorted(line.acked) == ["bad", "one", "three", "two"]
    assert sorted(line.stored) == ["bad", "one", "two"]


def test_an_end_whose_failure_cannot_be_stored_either_goes_back(line: Line, outflow: Outflow) -> None:
    line.fail = lambda commit: ValueError("no") if any(each.task_id == "bad" for each in commit.metas) else None
    outflow.put(Ending(held("bad"), metas=[meta("bad")]))
    outflow.put(Ending(held("good"), metas=[meta("good")]))
    assert outflow.flush(DEADLINE_S)
    assert line.acked == ["good"]
    assert line.requeued == ["bad"]


def test_a_store_that_refuses_one_result_again_and_again_gets_its_failure(line: Line, outflow: Outflow) -> None:
    def fail(commit: Commit) -> Exception | None:
        if any(each.task_id == "big" and each.payload != b"spoilt" for each in commit.metas):
            return BackendStoreError("too large", task_id="big")
        return None

    line.fail = fail
    stored = threading.Event()
    outflow.put(Ending(held("big"), metas=[meta("big")], after=None))
    outflow.put(Ending(held("ok"), metas=[meta("ok")], after=stored.set))
    assert stored.wait(DEADLINE_S), "the others go through meanwhile"
    assert line.acked == ["ok"]
    for number in range(400):
        if "big" in line.acked:
            break
        threading.Event().wait(0.05)
        outflow.put(Ending(held(f"n{number}"), metas=[meta(f"n{number}")]))
    assert "big" in line.acked


def test_an_unreadable_item_is_logged_and_the_rest_goes_on(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    def broken(item: Item, batch: Batch) -> None:
        if isinstance(item, Report):
            raise RuntimeError("garbage")
        translate(item, batch)

    outflow = Outflow(cast("CommitLine", line), broken, spoil, lambda count: None)
    outflow.start()
    outflow.put(Report("lost", 1, ""))
    outflow.put(cast("Any", [held("a")]))
    assert outflow.flush(DEADLINE_S)
    outflow.stop(1)
    assert line.acked == ["a"]
    assert "could not be read" in caplog.text


def test_stop_gives_up_in_time_and_says_how_much_is_left(line: Line) -> None:
    """[B981] a dead broker must not prevent shutdown."""
    line.fail = lambda commit: OperationalError("down")
    outflow = Outflow(cast("CommitLine", line), translate, spoil, lambda count: None)
    outflow.start()
    outflow.put(cast("Any", [held("a")]))
    assert outflow.stop(0.3) == 1
    assert line.closed == 1


def test_what_is_to_follow_comes_after_the_commit(line: Line, outflow: Outflow) -> None:
    seen: list[int] = []
    outflow.put(Ending(held("a"), after=lambda: seen.append(len(line.committed))))
    outflow.put(Ending(held("b"), after=lambda: 1 / 0))  # type: ignore[arg-type]
    assert outflow.flush(DEADLINE_S)
    assert seen
    assert seen[0] >= 1
