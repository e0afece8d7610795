"""Results over a real worker: waiting, states, errors, relatives, forms."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any

import pytest

from umbel import AsyncResult, GroupResult, Ignore, ResultSet, Task, TimeoutError, Umbel, allow_join_result, chain
from umbel.exceptions import BackendError, IncompleteStream
from umbel.results.tuples import result_from_tuple


class Odd(Exception):
    """An error of the test's own."""


@pytest.fixture
def tasks(umbel_app: Umbel, umbel_worker: Any) -> dict[str, Any]:
    gate = threading.Event()

    @umbel_app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    @umbel_app.task(name="fail")
    def fail(*args: Any) -> None:
        raise Odd("no", 42)

    @umbel_app.task(name="hold")
    def hold() -> str:
        assert gate.wait(20)
        return "held"

    @umbel_app.task(name="progress", bind=True)
    def progress(self: Task[..., Any]) -> str:
        self.update_state(state="PROGRESS", meta={"current": 1, "total": 3})
        assert gate.wait(20)
        return "done"

    @umbel_app.task(name="parent", bind=True)
    def parent(self: Task[..., Any], count: int) -> list[str]:
        return [add.delay(i, i).id for i in range(count)]

    return {"add": add, "fail": fail, "hold": hold, "progress": progress, "parent": parent, "gate": gate}


def test_get_returns_the_value(tasks: Any) -> None:
    """[C009] [B537] [B540] [B541]"""
    result = tasks["add"].delay(2, 2)
    assert result.get(timeout=20) == 4
    assert (result.state, result.ready(), result.successful(), result.failed()) == ("SUCCESS", True, True, False)
    assert result.date_done is not None
    assert result.date_done.tzinfo is not None
    assert result.traceback is None  # [B1056]
    assert result.children == []


def test_errors_come_back_with_type_and_arguments(tasks: Any) -> None:
    """[C009] [A106] [B1067]"""
    result = tasks["fail"].delay()
    with pytest.raises(Odd) as caught:
        result.get(timeout=20)
    assert caught.value.args == ("no", 42)
    assert result.failed()
    assert isinstance(result.info, Odd)
    assert "Odd: ('no', 42)" in str(result.traceback)
    assert isinstance(result.get(propagate=False), Odd)
    assert isinstance(result.maybe_throw(propagate=False), Odd)


def test_unknown_ids_are_pending_and_time_out(umbel_app: Umbel) -> None:
    """[C009] [A172] [B538]"""
    result = umbel_app.AsyncResult("nobody-knows-it")
    assert (result.state, result.result, result.children) == ("PENDING", None, None)
    with pytest.raises(TimeoutError, match=r"nobody-knows-it: no final state after 0\.05 s"):
        result.get(timeout=0.05)
    with pytest.raises(result.TimeoutError):
        result.get(timeout=0)


def test_custom_states_are_seen_while_it_runs(tasks: Any) -> None:
    """[A178] [A179] [B493] [B1036] [B1068]"""
    result = tasks["progress"].delay()
    messages: list[Any] = []

    def see(message: dict[str, Any]) -> None:
        messages.append(message)
        if message["status"] == "PROGRESS":
            tasks["gate"].set()

    assert result.get(timeout=20, on_message=see, interval=0.01) == "done"
    assert [message["status"] for message in messages] == ["PROGRESS", "SUCCESS"]
    assert messages[0]["result"] == {"current": 1, "total": 3}


def test_waiting_inside_a_task_is_refused(umbel_app: Umbel, umbel_worker: Any) -> None:
    """[B539]"""

    @umbel_app.task(name="inner")
    def inner() -> int:
        return 1

    @umbel_app.task(name="outer")
    def outer(how: str) -> int:
        if how == "plain":
            return inner.delay().get(timeout=10)
        if how == "flag":
            return inner.delay().get(timeout=10, disable_sync_subtasks=False)
        with allow_join_result():
            return inner.delay().get(timeout=10)

    with pytest.raises(RuntimeError, match="called inside a task"):
        outer.delay("plain").get(timeout=20)
    assert outer.delay("flag").get(timeout=20) == 1
    assert outer.delay("allowed").get(timeout=20) == 1


def test_children_and_collect(tasks: Any) -> None:
    """[2.7 children, collect, iterdeps, get_leaf]"""
    result = tasks["parent"].delay(3)
    ids = result.get(timeout=20)
    assert [str(child) for child in result.children] == ids
    collected = dict(result.collect(timeout=20))
    assert [collected[child] for child in result.children] == [0, 2, 4]
    assert result.get_leaf() == 4


def test_iterdeps_needs_results_that_are_there(umbel_app: Umbel) -> None:
    with pytest.raises(IncompleteStream):
        list(umbel_app.AsyncResult("x").iterdeps())
    assert len(list(umbel_app.AsyncResult("x").iterdeps(intermediate=True))) == 1


def test_forget(tasks: Any) -> None:
    """[B546]"""
    result = tasks["add"].delay(1, 1)
    assert result.get(timeout=20) == 2
    result.forget()
    assert result.state == "PENDING"


def test_the_failure_of_an_earlier_step_is_raised_by_the_last(tasks: Any) -> None:
    """[2.7 get follow_parents]"""
    add, fail = tasks["add"], tasks["fail"]
    result = chain(add.s(1, 1), fail.s(), add.s(1)).delay()
    with pytest.raises(Odd):
        result.get(timeout=20)
    assert result.state == "FAILURE"  # a step that is never reached ends with the one that failed
    assert result.parent.failed()
    assert result.parent.parent.get() == 2


def test_then_calls_back(tasks: Any) -> None:
    """[2.7 then]"""
    called: list[Any] = []
    ends = [threading.Event() for _ in range(3)]
    first = tasks["add"].delay(1, 1)

    def note(result: Any) -> None:
        called.append(result.get())
        ends[0].set()

    first.then(note)
    failing = tasks["fail"].delay()
    failing.then(lambda result: called.append("wrong"), on_error=lambda result: ends[1].set())
    assert ends[0].wait(20)
    assert ends[1].wait(20)
    first.get(timeout=20)
    first.then(lambda result: ends[2].set())
    assert ends[2].is_set(), "known already: called at once"
    assert called == [2]


def test_results_are_awaitable(tasks: Any) -> None:
    async def main() -> None:
        assert await (await tasks["add"].adelay(1, 2)) == 3
        with pytest.raises(Odd):
            await tasks["fail"].delay()
        values = await asyncio.gather(*(tasks["add"].delay(i, i) for i in range(40)))
        assert values == [2 * i for i in range(40)]
        with pytest.raises(TimeoutError):
            await tasks["hold"].delay().aget(timeout=0.05)
        tasks["gate"].set()
        group = ResultSet([tasks["add"].delay(i, 0) for i in range(5)])
        assert await group == [0, 1, 2, 3, 4]
        assert sorted([value async for value in group]) == [0, 1, 2, 3, 4]
        with pytest.raises(Odd):
            await chain(tasks["fail"].s(), tasks["add"].s(1)).delay()

    asyncio.run(asyncio.wait_for(main(), 40))


def test_sets_of_results(tasks: Any) -> None:
    """[B551]-[B558] [A321]-[A329] [B1053]"""
    add = tasks["add"]
    results = ResultSet(add.delay_many([(i, i) for i in range(5)]))
    assert results.join(timeout=20) == [0, 2, 4, 6, 8]
    assert sorted(results.iterate(timeout=20)) == [0, 2, 4, 6, 8]
    assert (results.ready(), results.successful(), results.failed(), results.waiting()) == (True, True, False, False)
    assert results.completed_count() == len(results) == 5
    seen: list[Any] = []
    assert results.join(timeout=20, callback=lambda task_id, value: seen.append((task_id, value))) == []
    assert sorted(value for _, value in seen) == [0, 2, 4, 6, 8]
    assert {task_id for task_id, _ in results.iter_native()} == {str(member) for member in results}


def test_sets_know_failure(tasks: Any) -> None:
    """[B1069] [B555]"""
    results = ResultSet([tasks["add"].delay(1, 1), tasks["fail"].delay()])
    with pytest.raises(Odd):
        results.join(timeout=20)
    two, error = results.join(timeout=20, propagate=False)
    assert two == 2
    assert isinstance(error, Odd)
    assert results.failed()
    assert not results.successful()
    with pytest.raises(Odd):
        results.maybe_throw()


def test_a_set_times_out_as_a_whole(tasks: Any) -> None:
    """[B1054] [B558]"""
    results = ResultSet([tasks["add"].delay(1, 1), tasks["hold"].delay()])
    with pytest.raises(TimeoutError, match="1 of 2 results"):
        results.join(timeout=0.2)
    tasks["gate"].set()
    assert results.join(timeout=20) == [2, "held"]


def test_membership(umbel_app: Umbel) -> None:
    """[B551] [B552] [B553]"""
    one, two = umbel_app.AsyncResult("1"), umbel_app.AsyncResult("2")
    results = umbel_app.ResultSet([one])
    results.add(one)
    results.update([one, two])
    assert [str(member) for member in results] == ["1", "2"]
    results.remove("1")
    results.discard(one)
    with pytest.raises(KeyError):
        results.remove(one)
    assert results[0] is two
    results.clear()
    assert len(results) == 0


def test_groups_are_kept_and_found_again(umbel_app: Umbel) -> None:
    """[B560] [2.7 save/restore]"""
    group = umbel_app.GroupResult(
        "g", [umbel_app.AsyncResult("1"), umbel_app.GroupResult("h", [umbel_app.AsyncResult("2")])]
    )
    group.save()
    found = GroupResult.restore("g", app=umbel_app)
    assert found == group
    assert found is not None
    assert [leaf.id for leaf in found.leaves()] == ["1", "2"]
    group.delete()
    assert GroupResult.restore("g", app=umbel_app) is None


def test_tuples_and_back(umbel_app: Umbel) -> None:
    """[2.7 as_tuple, result_from_tuple]; the form is that of the wire."""
    result: AsyncResult[Any] = AsyncResult("c", parent=AsyncResult("b", parent=AsyncResult("a")))
    assert result.as_tuple() == [["c", [["b", [["a", None], None]], None]], None]
    assert result.as_list() == ["c", "b", "a"]
    back = result_from_tuple(result.as_tuple())
    assert back == result
    assert back.parent == result.parent
    group = GroupResult("g", [AsyncResult("1"), AsyncResult("2")])
    assert group.as_tuple() == [["g", None], [[["1", None], None], [["2", None], None]]]
    assert result_from_tuple(group.as_tuple()) == group
    with pytest.raises(ValueError, match="a result as a tuple"):
        result_from_tuple(5)


def test_identity(umbel_app: Umbel) -> None:
    """[A096] [B1064] [B1065] [B545]"""
    result = umbel_app.AsyncResult("i")
    assert repr(result) == "<AsyncResult: i>"
    assert str(result) == result.task_id == "i"
    assert result == AsyncResult("i") == "i"
    assert result != AsyncResult("j")
    assert len({result, AsyncResult("i")}) == 1
    assert pickle.loads(pickle.dumps(result)) == result
    with pytest.raises(ValueError, match="expected the id"):
        AsyncResult("")


def test_without_a_backend_waiting_is_an_error_at_once() -> None:
    app = Umbel("t", broker="memory://", set_as_current=False)
    with pytest.raises(BackendError, match="no result backend is configured"):
        app.AsyncResult("i").get()


def test_ignored_tasks_leave_the_state_that_they_set(umbel_app: Umbel, umbel_worker: Any) -> None:
    @umbel_app.task(name="own", bind=True)
    def own(self: Task[..., Any]) -> None:
        self.update_state(state="MINE", meta="m")
        raise Ignore

    result = own.delay()
    states: list[str] = []
    with pytest.raises(TimeoutError):
        result.get(timeout=0.5, on_message=lambda message: states.append(message["status"]), interval=0.01)
    assert states == ["MINE"]


def test_there_is_nothing_to_wait_for_when_the_result_is_ignored(umbel_app: Umbel) -> None:
    """No worker runs here: a wait would not end."""

    @umbel_app.task(name="forgotten", ignore_result=True)
    def forgotten() -> int:
        return 1

    @umbel_app.task(name="kept")
    def kept() -> int:
        return 1

    assert forgotten.delay().get() is None
    assert [result.get() for result in forgotten.delay_many([(), ()])] == [None, None]
    assert asyncio.run(kept.apply_async(ignore_result=True).aget()) is None
    assert not kept.delay().ignored
