"""``replace``, ``add_to_chord``, stamps, calls for many items, abortable tasks, old names."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from umbel import Task, Umbel, chain, chord, group
from umbel.canvas import StampingVisitor, TaskSet, chunks, subtask, xmap
from umbel.contrib.abortable import ABORTED, AbortableTask
from umbel.exceptions import ChordError, ImproperlyConfigured

SOON_S = 20


@pytest.fixture
def replaced(umbel_app: Umbel, tasks: Any) -> Any:
    """Return a task that is replaced by what its name asks for."""

    @umbel_app.task(name="replaced", bind=True)
    def replaced(self: Task[..., Any], how: str, value: int) -> Any:
        by = {
            "task": tasks.add.s(value, 1),
            "group": group(tasks.add.s(value, 1), tasks.add.s(value, 2)),
            "chain": chain(tasks.add.s(value, 1), tasks.add.s(1)),
            "chord": chord([tasks.add.s(value, 1), tasks.add.s(value, 2)], tasks.total.s()),
            "itself": self.s("task", value + 10),
            "fail": tasks.fail.si(),
        }[how]
        return self.replace(by)

    return replaced


@pytest.mark.parametrize(("how", "value"), [("task", 2), ("group", [2, 3]), ("chain", 3), ("chord", 5), ("itself", 12)])
def test_a_replacement_has_the_place_of_what_it_replaces(
    tasks: Any, replaced: Any, umbel_worker: Any, how: str, value: Any
) -> None:
    """[2.7 Task.replace] Its id, its callbacks, the rest of its chain, its place in a chord."""
    sig = replaced.s(how, 1)
    assert sig.delay().get(timeout=SOON_S) == value
    assert chain(sig, tasks.ident.s()).delay().get(timeout=SOON_S) == value
    assert chord([tasks.ident.s(0), sig, tasks.ident.s(2)], tasks.ident.s()).delay().get(timeout=SOON_S) == [
        0,
        value,
        2,
    ]
    inner = chord([chain(sig, tasks.ident.s())], chain(replaced.si(how, 1), tasks.ident.s()))
    assert inner.delay().get(timeout=SOON_S) == value
    replaced.s(how, 1).apply_async(link=tasks.note.s("linked"))
    assert tasks.wait(1) == [(value, "linked")]
    assert replaced.apply((how, 1)).get() == value


def test_a_replacement_that_fails_calls_the_errbacks_and_ends_the_chord(
    tasks: Any, replaced: Any, umbel_worker: Any
) -> None:
    failing = replaced.s("fail", 1).on_error(tasks.handle.s())
    result = chord([tasks.ident.s(0), failing], tasks.ident.s()).delay()
    with pytest.raises(ChordError):
        result.get(timeout=SOON_S)
    assert tasks.wait(1) == [("handle", result.parent[1].id, "Broken")]


def test_what_cannot_be_a_replacement_is_refused(umbel_app: Umbel, tasks: Any, umbel_worker: Any) -> None:
    @umbel_app.task(name="wrong", bind=True)
    def wrong(self: Task[..., Any], what: str) -> Any:
        sig = chain() if what == "empty" else tasks.ident.s(1).set(chord=tasks.ident.s())
        return self.replace(sig)

    with pytest.raises(ValueError, match="expected at least one task"):
        wrong.delay("empty").get(timeout=SOON_S)
    with pytest.raises(ImproperlyConfigured, match="a member of a chord"):
        wrong.delay("chord").get(timeout=SOON_S)


def test_a_member_adds_members_to_its_chord(umbel_app: Umbel, tasks: Any, umbel_worker: Any) -> None:
    """[2.7 Task.add_to_chord] The body waits for them; a retried attempt adds none."""

    @umbel_app.task(name="adding", bind=True)
    def adding(self: Task[..., Any], count: int) -> str:
        for number in range(count):
            self.add_to_chord(tasks.flaky.s(number))
        if not self.request.retries:
            raise self.retry(countdown=0)
        return "added"

    result = chord([adding.s(3), tasks.ident.s("x"), adding.s(0)], tasks.ident.s()).delay()
    found = result.get(timeout=SOON_S)
    assert found[:3] == ["added", "x", "added"]
    assert sorted(found[3:]) == [0, 1, 2]
    with pytest.raises(ValueError, match="expected a call that is a member of a chord"):
        adding.delay(1).get(timeout=SOON_S)


def test_a_member_that_fails_after_it_added_members_ends_the_chord(
    umbel_app: Umbel, tasks: Any, umbel_worker: Any
) -> None:
    @umbel_app.task(name="adding", bind=True)
    def adding(self: Task[..., Any]) -> None:
        self.add_to_chord(tasks.ident.s(1))
        raise LookupError("afterwards")

    with pytest.raises(ChordError, match="LookupError"):
        chord([adding.s(), tasks.ident.s("x")], tasks.ident.s()).delay().get(timeout=SOON_S)


def test_calls_for_many_items(tasks: Any, umbel_worker: Any) -> None:
    """[C011] [2.7 map, starmap, chunks]"""
    assert chain(tasks.ident.s(5), tasks.total.map([[1, 2], [3]])).delay().get(timeout=SOON_S) == [3, 3]
    assert ~tasks.add.starmap((i, i) for i in range(3)) == [0, 2, 4]
    parts = tasks.add.chunks(((i, i) for i in range(5)), 2)
    assert isinstance(parts, chunks)
    assert len(parts) == 3
    assert (parts.group() | tasks.ident.s()).delay().get(timeout=SOON_S) == [[0, 2], [4, 6], [8]]
    assert repr(tasks.ident.map([1, 2])) == "[ident(x) for x in [1, 2]]"
    assert isinstance(tasks.ident.map([1]), xmap)
    skewed = group(tasks.ident.s(i) for i in range(4)).skew(start=0.0, stop=0.02, step=0.01)
    assert [member.options["countdown"] for member in skewed.tasks] == [0.0, 0.01, 0.02, 0.02]
    assert skewed.delay().get(timeout=SOON_S) == [0, 1, 2, 3]


def test_composed_signatures_may_be_called_by_name(umbel_app: Umbel, tasks: Any, umbel_worker: Any) -> None:
    """[B533] [B534] By producers that have no signatures, Celery's own ``chord_unlock`` among them."""
    members = [dict(tasks.ident.s(1)), dict(tasks.ident.s(2))]
    send = umbel_app.send_task
    assert send("celery.group", kwargs={"tasks": members}).get(timeout=SOON_S) == [1, 2]
    assert send("celery.chain", kwargs={"tasks": [members[0], dict(tasks.add.s(4))]}).get(timeout=SOON_S) == 5
    body = dict(tasks.total.s())
    assert send("celery.chord", kwargs={"header": members, "body": body}).get(timeout=SOON_S) == 3
    kwargs = {"task": dict(tasks.add.s()), "it": [[1, 1], [2, 2], [3, 3]], "n": 2}
    assert send("celery.chunks", kwargs=kwargs).get(timeout=SOON_S) == [[2, 4], [6]]
    header = group(tasks.ident.s(1), tasks.flaky.s(2)).delay()
    body["options"] = {"task_id": "the-body"}
    send(
        "celery.chord_unlock", args=("g", body), kwargs={"interval": 0, "result": [leaf.as_tuple() for leaf in header]}
    )
    assert umbel_app.AsyncResult("the-body").get(timeout=SOON_S) == 3


class Stamper(StampingVisitor):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_signature(self, sig: Any, **headers: Any) -> dict[str, Any]:
        self.calls.append(sig.task)
        return {"of": sig.task, "stamped_headers": ["of"]}

    def on_group_start(self, sig: Any, **headers: Any) -> dict[str, Any]:
        return {"grouped": True}

    def on_chord_body(self, sig: Any, **headers: Any) -> dict[str, Any]:
        return {"body": True}

    def on_callback(self, callback: Any, **headers: Any) -> dict[str, Any]:
        return {"called_back": True}


def test_stamps_reach_each_task(umbel_app: Umbel, tasks: Any, umbel_worker: Any) -> None:
    """[2.7 stamping] ``WIRE.md`` 1.1: ``stamped_headers`` and ``stamps``."""

    @umbel_app.task(name="stamped", bind=True)
    def stamped(self: Task[..., Any], *args: Any) -> None:
        tasks.tell(self.request.stamped_headers, self.request.stamps)

    flow = chain(stamped.s(), group(stamped.si(), stamped.si()))
    flow.stamp(order=4711)
    flow.delay()
    assert tasks.wait(3) == [(["order"], {"order": 4711})] * 3
    tasks.seen.clear()
    visitor = Stamper()
    linked = stamped.si()
    linked.link(stamped.s())
    chord([linked], stamped.si()).stamp(visitor, who="me").delay()
    assert sorted(tasks.wait(3), key=str) == sorted(
        [
            (["of", "who"], {"of": "stamped", "who": "me"}),
            (["called_back", "of", "who"], {"called_back": True, "of": "stamped", "who": "me"}),
            (["body", "of", "who"], {"body": True, "of": "stamped", "who": "me"}),
        ],
        key=str,
    )
    again = tasks.ident.s(1).stamp(a=1)
    assert again.stamp(append_stamps=True, a=2).options["a"] == [1, 2]
    with pytest.raises(NotImplementedError, match="define on_signature"):
        tasks.ident.s(1).stamp(StampingVisitor())


def test_a_task_looks_whether_it_is_aborted(umbel_app: Umbel, umbel_worker: Any) -> None:
    """[B640] [B641] [A178]"""
    started, looked = threading.Event(), threading.Event()

    @umbel_app.task(name="long", bind=True, base=AbortableTask)
    def long(self: Any) -> str:
        before = self.is_aborted()
        started.set()
        assert looked.wait(SOON_S)
        return f"{before} {self.is_aborted()}"

    result: Any = long.delay()
    assert started.wait(SOON_S)
    result.abort()
    assert result.is_aborted()
    assert result.state == ABORTED
    looked.set()
    assert result.get(timeout=SOON_S) == "False True"
    result.abort()
    assert result.state == "SUCCESS"


def test_old_names(tasks: Any, umbel_worker: Any) -> None:
    """[A320] [A328] [B523]-[B526]"""
    with pytest.warns(DeprecationWarning, match=r"use umbel\.group"):
        old = TaskSet(tasks=[subtask("add", (i, i), app=tasks.app) for i in range(3)])
    assert (old.total, old.task_name) == (3, "add")
    result = old.apply_async(taskset_id="the-set", connect_timeout=4.0)
    assert (result.id, result.join(timeout=SOON_S)) == ("the-set", [0, 2, 4])
    assert sorted(result.iterate(timeout=SOON_S)) == [0, 2, 4]
    assert subtask("add", (), {"x": 1}, y=2).options == {"y": 2}
