"""Batch tasks: calls are collected, run together, and each has an end of its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from umbel import Umbel, chain, chord
from umbel.contrib.batches import Batches, SimpleRequest
from umbel.exceptions import TaskRevokedError
from umbel.states import FAILURE, SUCCESS
from umbel.worker import Worker

SOON_S = 20.0
NEVER_S = 3600.0


class Broken(Exception):
    """An error of the tests' own."""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Umbel]:
    url = f"sqlite:///{tmp_path}/batches.db"
    with Umbel("batches", broker=url, backend=url, set_as_current=False) as app:
        yield app


def doubling(app: Umbel, seen: list[int], every: int, interval_s: float = NEVER_S) -> Any:
    """Return a batch task that doubles its argument, and notes how many calls it was given."""

    @app.task(name="double", base=Batches, flush_every=every, flush_interval=interval_s)
    def double(requests: list[SimpleRequest]) -> list[int]:
        seen.append(len(requests))
        return [request.args[0] * 2 for request in requests]

    return double


@pytest.mark.parametrize("pool", ["threads", "solo", "asyncio"])
def test_calls_run_together_when_there_are_enough(app: Umbel, pool: str) -> None:
    seen: list[int] = []
    double = doubling(app, seen, every=5)
    results = double.delay_many((number,) for number in range(10))
    with Worker(app, pool=pool, concurrency=2):
        assert [result.get(timeout=SOON_S) for result in results] == [2 * number for number in range(10)]
    assert seen == [5, 5]


def test_calls_run_together_after_a_while(app: Umbel) -> None:
    seen: list[int] = []
    double = doubling(app, seen, every=1000, interval_s=0.05)
    results = double.delay_many((number,) for number in range(3))
    with Worker(app, pool="threads", concurrency=2):
        assert [result.get(timeout=SOON_S) for result in results] == [0, 2, 4]
    assert sum(seen) == 3


def test_each_call_has_an_end_of_its_own(app: Umbel) -> None:
    @app.task(name="judge", base=Batches, flush_every=4, flush_interval=NEVER_S)
    def judge(requests: list[SimpleRequest]) -> list[Any]:
        requests[0].succeed("said")
        requests[1].fail(Broken("said"))
        return ["unused", "unused", Broken("returned"), "returned"]

    results = judge.delay_many([(number,) for number in range(4)])
    with Worker(app, pool="threads", concurrency=1):
        ends = [(result.get(timeout=SOON_S, propagate=False), result.state) for result in results]
    assert [state for _, state in ends] == [SUCCESS, FAILURE, FAILURE, SUCCESS]
    assert [str(value) for value, _ in ends] == ["said", "said", "returned", "returned"]


def test_what_a_batch_raises_is_the_failure_of_each(app: Umbel) -> None:
    failures: list[str] = []
    told = threading.Semaphore(0)

    @app.task(name="note")
    def note(task_id: str) -> None:
        failures.append(task_id)
        told.release()

    @app.task(name="broken", base=Batches, flush_every=3, flush_interval=NEVER_S)
    def broken(requests: list[SimpleRequest]) -> None:
        raise Broken("because")

    with Worker(app, pool="threads", concurrency=1):
        results = [broken.apply_async((number,), link_error=note.s()) for number in range(3)]
        for result in results:
            with pytest.raises(Broken):
                result.get(timeout=SOON_S)
        for _ in results:
            assert told.acquire(timeout=SOON_S)
    assert sorted(failures) == sorted(result.id for result in results)


def test_batches_in_workflows(app: Umbel) -> None:
    """Callbacks, chains and chords go on from each call."""
    double = doubling(app, [], every=3)
    total = app.task(name="total")(sum)
    add = app.task(name="add")(lambda x, y: x + y)
    with Worker(app, pool="threads", concurrency=2):
        result = chord([chain(double.s(number), add.s(1)) for number in range(3)], total.s()).delay()
        assert result.get(timeout=SOON_S) == 2 * (0 + 1 + 2) + 3


def test_coroutines_take_batches(app: Umbel) -> None:
    @app.task(name="acount", base=Batches, flush_every=3, flush_interval=NEVER_S)
    async def acount(requests: list[SimpleRequest]) -> int:
        return len(requests)

    for pool in ("asyncio", "threads"):
        results = acount.delay_many([(number,) for number in range(3)])
        with Worker(app, pool=pool, concurrency=2):
            assert [result.get(timeout=SOON_S) for result in results] == [3, 3, 3]


def test_what_is_collected_goes_back_when_the_worker_stops(app: Umbel) -> None:
    seen: list[int] = []
    double = doubling(app, seen, every=3)
    marker = app.task(name="marker")(lambda: None)
    first = double.delay(1)
    worker = Worker(app, pool="threads", concurrency=1)
    with worker:
        assert marker.delay().get(timeout=SOON_S) is None  # it came behind the other
        assert worker.stats()["batches"] == {"waiting": {"double": 1}}
    assert not seen
    others = double.delay_many([(2,), (3,)])
    with Worker(app, pool="threads", concurrency=1):
        assert [result.get(timeout=SOON_S) for result in (first, *others)] == [2, 4, 6]
    assert seen == [3]


def test_a_batch_whose_process_dies_comes_again(app: Umbel, tmp_path: Path) -> None:
    mark = tmp_path / "died"

    @app.task(name="dies", base=Batches, flush_every=3, flush_interval=0.2)
    def dies(requests: list[SimpleRequest]) -> Any:
        if not mark.exists():
            mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return [request.args[0] for request in requests]

    results = dies.delay_many([(number,) for number in range(3)])
    with Worker(app, pool="prefork", concurrency=1):
        assert [result.get(timeout=SOON_S) for result in results] == [0, 1, 2]
    assert mark.exists()


def test_a_revoked_call_is_no_part_of_a_batch(app: Umbel) -> None:
    seen: list[int] = []
    double = doubling(app, seen, every=3)
    first, second = double.delay_many([(1,), (2,)])
    with Worker(app, pool="threads", concurrency=1) as worker:
        collected = worker.graph["batches"]
        while collected.info(worker) != {"waiting": {"double": 2}}:
            worker.outflow.flush(SOON_S)
        replies = app.control.revoke(second.id, reply=True, timeout=SOON_S, limit=1)
        assert replies, "the worker knows of it before the third call is there"
        third = double.delay(3)
        assert [first.get(timeout=SOON_S), third.get(timeout=SOON_S)] == [2, 6]
        with pytest.raises(TaskRevokedError):
            second.get(timeout=SOON_S)
    assert seen == [2]


def test_a_message_that_is_no_call_does_not_hold_up_the_others(app: Umbel) -> None:
    double = doubling(app, [], every=3)
    good = double.delay_many([(1,), (2,)])
    with Worker(app, pool="threads", concurrency=1):
        (publication,) = app.workflows.prepare(double.s(3).set(task_id="bad"))
        publication.message.body = b"garbage"
        app.publisher.send([publication])
        assert [result.get(timeout=SOON_S) for result in good] == [2, 4]
        assert isinstance(app.AsyncResult("bad").get(timeout=SOON_S, propagate=False), Exception)


def test_a_batch_runs_at_once(app: Umbel) -> None:
    double = doubling(app, [], every=100)
    assert double.apply((4,)).get() == 8
    app.conf.task_always_eager = True
    assert double.delay(5).get() == 10


def test_a_batch_that_runs_at_once_ends_each_call_as_a_worker_does(app: Umbel) -> None:
    """Callbacks get the call's own value, errbacks hear of its own failure, handlers of its own arguments."""
    heard: list[tuple[str, Any]] = []

    class Telling(Batches[..., Any]):
        abstract = True

        def on_success(self, retval: Any, task_id: str | None, args: Any, kwargs: Any) -> None:
            heard.append(("success", (retval, args, kwargs)))

    @app.task(base=Telling)
    def halve(requests: list[SimpleRequest]) -> Any:
        for request in requests:
            if request.args[0] % 2:
                request.fail(ValueError(request.args[0]))
        return [request.args[0] // 2 for request in requests]

    @app.task
    def note(value: Any) -> None:
        heard.append(("value", value))

    @app.task
    def mourn(task_id: str) -> None:
        heard.append(("failed", task_id))

    assert halve.apply((8,), link=note.s()).get() == 4
    failed = halve.apply((3,), task_id="odd", link=note.s(), link_error=mourn.s(), throw=False)
    assert (failed.state, repr(failed.result)) == ("FAILURE", "ValueError(3)")
    assert heard == [("success", (4, (8,), {})), ("value", 4), ("failed", "odd")]
    with pytest.raises(ValueError, match="3"):
        halve.apply((3,), throw=True)

    @app.task(base=Batches)
    async def ahalve(requests: list[SimpleRequest]) -> Any:
        return [request.kwargs["x"] // 2 for request in requests]

    assert ahalve.apply(kwargs={"x": 6}).get() == 3
