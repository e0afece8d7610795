"""Results of a running worker: revoked, cached, told when all have ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from umbel import Umbel, chain, chord, group
from umbel.exceptions import ChordError, TaskRevokedError
from umbel.results.eager_result import EagerResult
from umbel.states import PENDING, REVOKED
from umbel.worker import Worker

SOON_S = 20.0


class Gate:
    """Keeps the one thread of a worker busy, so that what is sent is not begun before it is revoked."""

    def __init__(self, app: Umbel, worker: Worker, until: Callable[..., None]) -> None:
        self._open = threading.Event()
        self._shut = threading.Event()
        self._worker = worker
        self._until = until
        self._wait = app.task(name="gate")(self._hold)

    def _hold(self) -> None:
        self._shut.set()
        assert self._open.wait(SOON_S)

    def shut(self) -> None:
        self._wait.delay()
        assert self._shut.wait(SOON_S)

    def open_when_revoked(self, *ids: str) -> None:
        revoked = self._worker.control.revoked
        self._until(lambda: all(task_id in revoked.ids() for task_id in ids), "the revocation")
        self._open.set()


@pytest.fixture
def worker(umbel_app: Umbel, tasks: Any) -> Iterator[Worker]:
    with Worker(umbel_app, pool="threads", concurrency=1) as worker:
        yield worker


@pytest.fixture
def gate(umbel_app: Umbel, worker: Worker, until: Callable[..., None]) -> Gate:
    return Gate(umbel_app, worker, until)


def test_a_result_a_group_and_a_set_are_revoked(gate: Gate, tasks: Any) -> None:
    gate.shut()
    alone = tasks.ident.delay(1)
    together = group(tasks.ident.s(number) for number in range(3)).delay()
    other = tasks.ident.delay("runs")
    alone.revoke()
    together.revoke()
    gate.open_when_revoked(alone.id, *(result.id for result in together.results))
    assert other.get(timeout=SOON_S) == "runs"
    for result in (alone, *together.results):
        with pytest.raises(TaskRevokedError):
            result.get(timeout=SOON_S)
        assert result.state == REVOKED


def test_a_revoked_member_ends_its_chord_and_calls_the_errbacks(gate: Gate, tasks: Any) -> None:
    gate.shut()
    result = chord([tasks.add.s(1, 1), tasks.add.s(2, 2)], tasks.total.s().on_error(tasks.handle.s())).delay()
    member = result.parent.results[1]
    member.revoke()
    gate.open_when_revoked(member.id)
    with pytest.raises(ChordError, match="TaskRevokedError"):
        result.get(timeout=SOON_S)
    assert tasks.wait(1) == [("handle", result.id, "ChordError")]


def test_a_revoked_step_ends_the_steps_behind_it(gate: Gate, tasks: Any) -> None:
    gate.shut()
    result = chain(tasks.add.s(1, 1), tasks.add.s(1).on_error(tasks.handle.s()), tasks.add.s(1)).delay()
    result.parent.revoke()
    gate.open_when_revoked(result.parent.id)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=SOON_S)
    assert tasks.wait(1) == [("handle", result.parent.id, "TaskRevokedError")]
    assert result.parent.parent.get(timeout=SOON_S) == 2


def test_a_running_task_is_stopped(tmp_path: Any) -> None:
    """`revoke(terminate=True, signal=...)` reaches the process that runs it."""
    url = f"sqlite:///{tmp_path}/running.db"
    with Umbel("running", broker=url, backend=url, set_as_current=False) as app:
        mark = tmp_path / "started"

        @app.task(name="waits", bind=True)
        def waits(task: Any) -> None:
            task.update_state(state="BEGUN")
            mark.touch()
            threading.Event().wait(SOON_S * 3)

        with Worker(app, pool="prefork", concurrency=1):
            result = waits.delay()
            states: list[str] = []
            begun = threading.Event()

            def note(message: dict[str, Any]) -> None:
                states.append(message["status"])
                if message["status"] == "BEGUN" and not begun.is_set():
                    begun.set()
                    result.revoke(terminate=True, signal="SIGKILL", wait=True, timeout=0.5)

            with pytest.raises(TaskRevokedError):
                result.get(timeout=SOON_S, on_message=note, interval=0.02)
    assert states[0] == "BEGUN"
    assert result.state == REVOKED


def test_an_eager_result_can_only_say_so(umbel_app: Umbel) -> None:
    result: EagerResult[Any] = umbel_app.task(name="one")(lambda: 1).apply()
    result.revoke()
    with pytest.raises(TaskRevokedError):
        result.get()
    assert result.state == REVOKED


@pytest.mark.parametrize(("most", "fewest", "reads"), [(-1, 6, 6), (0, 0, 0), (2, 1, 5)])
def test_finished_results_are_kept_as_asked(
    umbel_app: Umbel, umbel_worker: Any, monkeypatch: pytest.MonkeyPatch, most: int, fewest: int, reads: int
) -> None:
    """[A551] [B004] ``result_cache_max``: a final result is read from the store once."""
    umbel_app.conf.result_cache_max = most
    ident = umbel_app.task(name="ident")(lambda value: value)
    ids = [ident.delay(number).id for number in range(3)]
    for task_id in ids:
        umbel_app.AsyncResult(task_id).get(timeout=SOON_S)
    asked: list[str] = []
    load = umbel_app.backend.load

    def note(wanted: Sequence[str]) -> Any:
        asked.extend(wanted)
        return load(wanted)

    monkeypatch.setattr(umbel_app.backend, "load", note)
    for _ in range(2):
        for task_id in reversed(ids):
            assert umbel_app.AsyncResult(task_id).result in {0, 1, 2}
    assert fewest <= len(asked) <= reads
    umbel_app.AsyncResult(ids[0]).forget()
    assert umbel_app.AsyncResult(ids[0]).state == PENDING
    assert not umbel_app.AsyncResult(ids[0]).exists()


def test_a_set_tells_when_all_have_ended(umbel_app: Umbel, umbel_worker: Any, tasks: Any) -> None:
    ended: list[str] = []
    told = threading.Semaphore(0)

    def teller(what: str) -> Callable[[Any], None]:
        def tell(results: Any) -> None:
            ended.append(what)
            told.release()

        return tell

    group(tasks.ident.s(number) for number in range(5)).delay().then(teller("well"), teller("badly"))
    assert told.acquire(timeout=SOON_S)
    group(tasks.ident.s(1), tasks.fail.s()).delay().then(teller("well"), teller("badly"))
    assert told.acquire(timeout=SOON_S)
    group([], app=umbel_app).delay().then(teller("empty"))
    assert ended == ["well", "badly", "empty"]
