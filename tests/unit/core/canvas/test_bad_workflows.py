"""What cannot be a workflow is refused at the earliest point, and nothing of it is sent."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from umbel import GroupResult, Umbel, allow_join_result, chain, chord, group
from umbel.exceptions import BackendError, EncodeError, NotRegistered, UmbelError
from umbel.model import Queue
from umbel.results.flows import flow_graph


@pytest.fixture
def add(umbel_app: Umbel) -> Any:
    @umbel_app.task(name="tasks.add")
    def add(x: int, y: int) -> int:
        return x + y

    return add


def count(app: Umbel) -> int:
    with contextlib.closing(app.open_transport()) as transport:
        transport.declare([Queue(name="celery")])
        return transport.count(["celery"])[0]


def test_an_unknown_task_is_refused_where_it_would_run(umbel_app: Umbel, add: Any) -> None:
    """A producer need not know the tasks that it calls (C008); what runs here must be known here."""
    unknown = umbel_app.signature("tasks.ad", args=(1, 2))
    for run in (unknown.apply, unknown, lambda: unknown.type, lambda: chain(add.s(1, 1), unknown).apply()):
        with pytest.raises(NotRegistered, match=r"tasks\.ad"):
            run()


def test_a_circle_of_links_is_refused_when_it_is_closed(add: Any) -> None:
    first, second, third = add.s(1), add.s(2), add.s(3)
    first.link(second)
    second.link_error(chain(third, add.s(4)))
    with pytest.raises(ValueError, match=r"link: expected a callback that does not lead back .* got a circle"):
        third.link(group(first, add.s(5)))
    with pytest.raises(ValueError, match=r"link_error: .* a circle"):
        first.link_error(first)
    assert "link" not in third.options
    first.link(add.s(2))
    first.link(add.s(1))  # equal, and another


def test_a_circle_made_by_hand_is_refused_when_it_is_sent(umbel_app: Umbel, add: Any) -> None:
    made = add.s(1, 2)
    made.options["link"] = [made]
    with pytest.raises(EncodeError):
        made.delay()
    with pytest.raises(EncodeError):
        chain(made, add.s(1)).delay()
    assert count(umbel_app) == 0


@pytest.mark.parametrize("where", ["first", "later", "member", "body", "callback"])
def test_arguments_that_cannot_travel_are_refused_before_anything_is_sent(
    umbel_app: Umbel, add: Any, where: str
) -> None:
    bad = add.s(object())
    flow = {
        "first": chain(add.s(object(), 1), add.s(1)),
        "later": chain(add.s(1, 1), add.s(2), bad),
        "member": group(add.s(1, 1), add.s(2, 2), add.s(1, object())),
        "body": chord([add.s(1, 1), add.s(2, 2)], bad),
        "callback": group(add.s(1, 1), add.signature((2, 2), link=[bad])),
    }[where]
    with pytest.raises(EncodeError):
        flow.apply_async()
    assert count(umbel_app) == 0


def test_groups_of_nothing_end_at_once(umbel_app: Umbel, add: Any) -> None:
    """A list that happens to be empty is no mistake: the result is an empty list, and nobody waits."""
    result = group().apply_async()
    assert isinstance(result, GroupResult)
    assert (result.get(timeout=1), result.ready(), result.successful(), result.completed_count()) == ([], True, True, 0)
    assert list(result.iterate(timeout=1)) == []
    assert count(umbel_app) == 0
    chord([], add.s(1)).apply_async()
    assert count(umbel_app) == 1
    with pytest.raises(ValueError, match="chain: expected at least one task"):
        chain().apply_async()


def test_what_makes_no_chord_is_refused(umbel_app: Umbel, add: Any) -> None:
    with pytest.raises(TypeError, match="chord: expected a body"):
        chain(add.s(1, 1), chord([add.s(1)])).apply_async()
    with pytest.raises(TypeError, match="has no one result to call back with: expected group"):
        group(add.s(1, 1)).apply_async(link=add.s(1))
    with pytest.raises(TypeError, match="expected group"):
        chain(add.s(1, 1), group(add.s(1))).apply_async(link=add.s(1))
    with pytest.raises(TypeError, match="unknown option 'quueue'"):
        chord([add.s(1, 1)], add.s(1)).apply_async(quueue="x")
    assert count(umbel_app) == 0


def test_a_chord_needs_a_result_backend() -> None:
    with Umbel("none", broker="memory://no-results", backend="disabled://", set_as_current=False) as app:
        add = app.task(name="add")(lambda x, y: x + y)
        for flow in (chord([add.s(1, 1)], add.s(1)), group(add.s(1, 1)) | add.s(1)):
            with pytest.raises(
                BackendError, match=r"a chord: expected a result backend, .* got none: set result_backend"
            ):
                flow.apply_async()
        assert count(app) == 0
        group(add.s(1, 1), add.s(2, 2)).apply_async()
        assert count(app) == 2


def test_members_of_a_group_have_one_result_backend(umbel_app: Umbel, add: Any) -> None:
    other = umbel_app.task(name="other", backend="memory://elsewhere")(lambda *args: None)
    with pytest.raises(ValueError, match=r"expected one result backend for all members, got .*memory://elsewhere"):
        group(add.s(1, 1), other.s()).apply_async()
    assert count(umbel_app) == 0
    assert group(other.s(), other.s()).apply_async()[0].store == "memory://elsewhere"
    mixed = umbel_app.ResultSet([umbel_app.AsyncResult("a"), other.AsyncResult("b")])
    with pytest.raises(ValueError, match="one result backend"):
        mixed.join(timeout=1)


def test_a_task_does_not_wait_for_tasks(umbel_app: Umbel, umbel_worker: Any, add: Any) -> None:
    """[B539]"""

    @umbel_app.task(name="waiting")
    def waiting(how: str) -> Any:
        result = group(add.s(1, 1), add.s(2, 2)).delay()
        if how == "allowed":
            with allow_join_result():
                return result.get(timeout=20)
        if how == "known better":
            return result.join(timeout=20, disable_sync_subtasks=False)
        return result[0].get(timeout=20) if how == "single" else result.get(timeout=20)

    for how in ("single", "group"):
        with pytest.raises(RuntimeError, match=r"called inside a task: a pool full of tasks .* never ends"):
            waiting.delay(how).get(timeout=20)
    assert waiting.delay("allowed").get(timeout=20) == [2, 4]
    assert waiting.delay("known better").get(timeout=20) == [2, 4]


def test_a_workflow_that_is_lost_or_over_its_time(umbel_app: Umbel, add: Any) -> None:
    with pytest.raises(UmbelError, match="knows nothing of it"):
        flow_graph(umbel_app, "nobody")
    assert GroupResult.restore("nobody", app=umbel_app) is None
    umbel_app.conf.result_extended = True
    result = chain(add.s(1, 1), add.s(2)).delay()
    assert [node.state for node in flow_graph(umbel_app, result.id)] == ["PENDING", "PENDING"]
    assert str(flow_graph(umbel_app, result.parent.id)).startswith("tasks.add [")
