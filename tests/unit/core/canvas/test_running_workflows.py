"""Workflows, links and retries over a real worker in this process."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from umbel import GroupResult, Task, Umbel, chain, chord, group
from umbel.exceptions import ChordError


class Broken(Exception):
    """An error of the test's own."""


@pytest.fixture
def tasks(umbel_app: Umbel, umbel_worker: Any) -> dict[str, Any]:
    seen: list[Any] = []
    told = threading.Semaphore(0)

    @umbel_app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    @umbel_app.task(name="total")
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @umbel_app.task(name="fail")
    def fail(*args: Any) -> None:
        raise Broken("because")

    @umbel_app.task(name="note")
    def note(*args: Any) -> None:
        seen.append(args)
        told.release()

    @umbel_app.task(name="handle")
    def handle(request: Any, exc: Any, traceback: Any) -> None:
        seen.append((request.id, request.task, type(exc).__name__, exc.args, "Traceback" in traceback))
        told.release()

    return {"add": add, "total": total, "fail": fail, "note": note, "handle": handle, "seen": seen, "told": told}


def test_chains(tasks: Any) -> None:
    """[C011]"""
    add = tasks["add"]
    result = (add.s(2, 2) | add.s(4) | add.s(8)).delay()
    assert result.get(timeout=20) == 16
    assert result.parent.get(timeout=20) == 8
    assert result.parent.parent.get(timeout=20) == 4
    assert result.parent.parent.children == [result.parent]
    assert chain(add.s(4), add.si(1, 1)).delay(3).get(timeout=20) == 2
    assert ~chain(add.s(1, 1)) == 2


def test_groups(tasks: Any) -> None:
    """[C011] [A320]"""
    add = tasks["add"]
    result = group(add.s(i, i) for i in range(10)).delay()
    assert isinstance(result, GroupResult)
    assert result.get(timeout=20) == [2 * i for i in range(10)]
    assert group(add.s(1), add.s(2)).delay(5).get(timeout=20) == [6, 7]
    assert group([]).delay().get(timeout=20) == []


def test_chords(tasks: Any) -> None:
    """[A330]-[A335] [C011]"""
    add, total = tasks["add"], tasks["total"]
    assert chord(add.s(i, i) for i in range(100))(total.s()).get(timeout=20) == 9900
    result = (group(add.s(1, 1), add.s(2, 2)) | total.s() | add.s(10)).delay()
    assert result.get(timeout=20) == 16
    assert chord([], total.s()).delay().get(timeout=20) == 0
    nested = chord([chain(add.s(1, 1), add.s(1)), add.s(2, 2)], total.s()).delay()
    assert nested.get(timeout=20) == 7
    assert chain(add.s(1, 1), group(add.s(1), add.s(2)), total.s()).delay().get(timeout=20) == 7


def test_a_failed_member_ends_its_chord(tasks: Any) -> None:
    """Each member's failure has a defined effect on the whole: ``ChordError`` on the body, and its errbacks."""
    add, total, fail, note = (tasks[name] for name in ("add", "total", "fail", "note"))
    result = chord([add.s(1, 1), fail.s()], total.s().on_error(note.s("chord"))).delay()
    with pytest.raises(ChordError, match=r"Dependency .* raised Broken\('because'\)"):
        result.get(timeout=20, follow_parents=False)
    assert tasks["told"].acquire(timeout=20)
    ((request, error, _, extra),) = tasks["seen"]
    assert (request.id, type(error), extra) == (result.id, ChordError, "chord")


def test_callbacks_and_errbacks(tasks: Any) -> None:
    """[A319] [C011]"""
    add, fail, note, handle = (tasks[name] for name in ("add", "fail", "note", "handle"))
    first = add.apply_async((2, 2), link=[note.s("linked"), note.si("alone")])
    assert tasks["told"].acquire(timeout=20)
    assert tasks["told"].acquire(timeout=20)
    assert sorted(tasks["seen"], key=len) == [("alone",), (4, "linked")]
    assert len(first.children or ()) == 2
    tasks["seen"].clear()
    failed = fail.apply_async((), link_error=handle.s())
    assert tasks["told"].acquire(timeout=20)
    assert tasks["seen"] == [(failed.id, "fail", "Broken", ("because",), True)]
    tasks["seen"].clear()
    tasks["fail"].apply_async((), link_error=[note.si("fixed")])
    assert tasks["told"].acquire(timeout=20)
    assert tasks["seen"] == [("fixed",)]


def test_map_starmap_and_chunks(tasks: Any) -> None:
    """[C011]"""
    add, total = tasks["add"], tasks["total"]
    assert total.map([[1, 2], [3]]).delay().get(timeout=20) == [3, 3]
    assert add.starmap([(1, 2), (3, 4)]).delay().get(timeout=20) == [3, 7]
    assert add.chunks([(i, i) for i in range(5)], 2)().get(timeout=20) == [[0, 2], [4, 6], [8]]
    with pytest.raises(ValueError, match="at least 1 item"):
        add.chunks([], 0)


def test_a_retry_keeps_what_the_call_was(umbel_app: Umbel, umbel_worker: Any, tasks: Any) -> None:
    """[A126] [A130] [B1077] ``WIRE.md`` 1.1: same id and root, itself as parent; queue, headers, chain stay."""
    seen: list[Any] = []

    @umbel_app.task(bind=True, name="twice")
    def twice(self: Task[..., Any], x: int) -> int:
        request = self.request
        seen.append(
            (request.id, request.root_id, request.parent_id, request.retries, (request.headers or {}).get("x-mine"))
        )
        if not request.retries:
            raise self.retry((x + 1,), countdown=0)
        return x

    result = chain(twice.s(1).set(headers={"x-mine": "kept"}), tasks["add"].s(10)).delay()
    assert result.get(timeout=20) == 12
    task_id = result.parent.id
    assert seen == [(task_id, task_id, None, 0, "kept"), (task_id, task_id, task_id, 1, "kept")]


def test_an_exhausted_retry_fails_with_its_exception(umbel_app: Umbel, umbel_worker: Any) -> None:
    """[B483]"""
    attempts: list[int] = []

    @umbel_app.task(bind=True, name="hopeless", max_retries=2, autoretry_for=(Broken,), retry_kwargs={"countdown": 0})
    def hopeless(self: Task[..., Any]) -> None:
        attempts.append(self.request.retries)
        raise Broken("still")

    with pytest.raises(Broken, match="still"):
        hopeless.delay().get(timeout=20)
    assert attempts == [0, 1, 2]


def test_calls_of_a_task_know_where_they_come_from(umbel_app: Umbel, umbel_worker: Any) -> None:
    """[2.8 root_id, parent_id, children]"""

    @umbel_app.task(bind=True, name="inner")
    def inner(self: Task[..., Any]) -> Any:
        return [self.request.root_id, self.request.parent_id]

    @umbel_app.task(name="outer")
    def outer() -> list[str]:
        return [result.id for result in inner.delay_many([()] * 2)]

    result = outer.apply_async(root_id="the-root")
    ids = result.get(timeout=20)
    children = result.children or []
    assert [str(child) for child in children] == ids
    for child in children:
        assert child.get(timeout=20) == ["the-root", result.id]
