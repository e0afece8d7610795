"""What becomes of tasks, over memory and threads: outcomes, handlers, signals, retries."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from umbel import Ignore, MaxRetriesExceededError, Reject, Task, Umbel, signals
from umbel.worker import Worker

Until = Callable[..., None]


def running(app: Umbel, **options: Any) -> Worker:
    return Worker(app, **{"pool": "threads", "concurrency": 2, "shutdown_timeout_s": 10.0, **options})


def test_a_result_comes_back(umbel_app: Umbel) -> None:
    @umbel_app.task
    def add(x: int, y: int) -> int:
        return x + y

    with running(umbel_app) as worker:
        assert add.delay(2, 2).get(timeout=10) == 4
        results = [add.delay(n, n) for n in range(200)]
        assert [result.get(timeout=10) for result in results] == [2 * n for n in range(200)]
        assert worker.stats()["total"] == {add.name: 201}


class OddError(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(a)
        self.b = b

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.mark.parametrize(
    "error",
    [
        ValueError("deliberate", 42),
        OddError(1, 2),
        KeyError(object()),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_exception_is_an_outcome(umbel_app: Umbel, error: BaseException) -> None:
    """[B969] [B1004] [B1067] a raising task ends as FAILURE, with its traceback; the worker goes on."""

    @umbel_app.task
    def fail() -> None:
        raise error

    @umbel_app.task
    def fine() -> int:
        return 1

    with running(umbel_app, concurrency=1):
        result = fail.delay()
        result.get(timeout=10, propagate=False)
        assert result.state == "FAILURE"
        assert "Traceback" in (result.traceback or "")
        assert "umbel/worker/" not in (result.traceback or "")
        assert fine.delay().get(timeout=10) == 1


def test_a_result_that_cannot_be_encoded_is_a_failure(umbel_app: Umbel) -> None:
    """[B1003]"""

    @umbel_app.task
    def odd() -> object:
        return object()

    with running(umbel_app):
        result = odd.delay()
        with pytest.raises(Exception, match="cannot encode"):
            result.get(timeout=10)
        assert result.state == "FAILURE"


def test_coroutines_run_as_coroutines(umbel_app: Umbel) -> None:
    loops: list[Any] = []

    @umbel_app.task(bind=True)
    async def sleepy(self: Any, value: int) -> Any:  # a tuple, which comes back as a list
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())
        return value, self.request.id is not None

    with running(umbel_app, concurrency=1):
        assert sleepy.delay(3).get(timeout=10) == [3, True]
        assert sleepy.delay(4).get(timeout=10) == [4, True]
        assert loops[0] is loops[1], "the loop of a thread is kept"


def test_the_request_knows_its_call(umbel_app: Umbel) -> None:
    seen: dict[str, Any] = {}

    @umbel_app.task(bind=True)
    def look(self: Any, *args: Any, **kwargs: Any) -> None:
        request = self.request
        names = [name for name in dir(request) if not name.startswith("_")]
        seen.update({name: getattr(request, name) for name in names})
        seen["is_worker"] = not request.called_directly

    with running(umbel_app, hostname="w7@here"):
        look.apply_async((1,), {"k": 2}, headers={"x-own": "yes"}, priority=3).get(timeout=10)
    assert seen["is_worker"]
    assert seen["hostname"] == "w7@here"
    assert (seen["args"], seen["kwargs"]) == ([1], {"k": 2})
    assert seen["delivery_info"]["priority"] == 3
    assert seen["headers"]["x-own"] == "yes"
    assert seen["retries"] == 0
    assert seen["queue"] == "celery"


def test_handlers_are_called_in_order_and_mask_nothing(umbel_app: Umbel, caplog: pytest.LogCaptureFixture) -> None:
    """[B1008] [B1037]"""
    log: list[Any] = []

    class Handled(Task[..., Any]):
        def before_start(self, task_id: str | None, args: Any, kwargs: Any) -> None:
            log.append("before_start")

        def on_success(self, retval: Any, task_id: str | None, args: Any, kwargs: Any) -> None:
            log.append("on_success")
            raise RuntimeError("in the handler")

        def on_failure(self, exc: Any, task_id: str | None, args: Any, kwargs: Any, einfo: Any) -> None:
            log.append(("on_failure", type(exc).__name__, "Traceback" in str(einfo)))

        def after_return(
            self, status: str, retval: Any, task_id: str | None, args: Any, kwargs: Any, einfo: Any
        ) -> None:
            log.append(("after_return", status, umbel_app.AsyncResult(str(task_id)).state))

    @umbel_app.task(base=Handled)
    def good() -> int:
        return 1

    @umbel_app.task(base=Handled)
    def bad() -> None:
        raise ValueError

    with running(umbel_app, concurrency=1):
        assert good.delay().get(timeout=10) == 1
        bad.delay().get(timeout=10, propagate=False)
    assert log == [
        "before_start",
        "on_success",
        ("after_return", "SUCCESS", "SUCCESS"),
        "before_start",
        ("on_failure", "ValueError", True),
        ("after_return", "FAILURE", "FAILURE"),
    ]
    assert "on_success of task" in caplog.text


def test_an_error_of_before_start_is_the_tasks_own(umbel_app: Umbel) -> None:
    class Refusing(Task[..., Any]):
        def before_start(self, task_id: str | None, args: Any, kwargs: Any) -> None:
            raise LookupError("not today")

    @umbel_app.task(base=Refusing)
    def never() -> None:
        raise AssertionError

    with running(umbel_app), pytest.raises(LookupError):
        never.delay().get(timeout=10)


def test_signals_are_sent_where_the_task_runs(umbel_app: Umbel) -> None:
    log: list[Any] = []

    def note(signal: Any, sender: Any, **named: Any) -> None:
        log.append((signal.name, named.get("state")))
        raise RuntimeError("a receiver's fault is its own")

    names = ("task_received", "task_prerun", "task_success", "task_failure", "task_postrun", "worker_ready")
    connected = [getattr(signals, name) for name in names]
    for signal in connected:
        signal.connect(note)
    try:

        @umbel_app.task
        def work(fails: bool) -> None:
            if fails:
                raise ValueError

        with running(umbel_app, concurrency=1):
            work.delay(False).get(timeout=10)
            work.delay(True).get(timeout=10, propagate=False)
    finally:
        for signal in connected:
            signal.disconnect(note)
    assert log == [
        ("worker_ready", None),
        ("task_received", None),
        ("task_prerun", None),
        ("task_success", None),
        ("task_postrun", "SUCCESS"),
        ("task_received", None),
        ("task_prerun", None),
        ("task_failure", None),
        ("task_postrun", "FAILURE"),
    ]


def test_a_task_is_retried_and_its_retry_leaves_with_its_end(umbel_app: Umbel) -> None:
    attempts: list[int] = []

    @umbel_app.task(bind=True, max_retries=5)
    def flaky(self: Any) -> str:
        attempts.append(self.request.retries)
        if self.request.retries < 2:
            raise self.retry(countdown=0.01, exc=ValueError("again"))
        return "done"

    with running(umbel_app):
        result = flaky.delay()
        assert result.get(timeout=10) == "done"
    assert attempts == [0, 1, 2]


def test_retries_end(umbel_app: Umbel) -> None:
    @umbel_app.task(bind=True, max_retries=1)
    def hopeless(self: Any) -> None:
        raise self.retry(countdown=0)

    @umbel_app.task(autoretry_for=(ValueError,), retry_kwargs={"max_retries": 2}, default_retry_delay=0)
    def automatic() -> None:
        raise ValueError("each time")

    with running(umbel_app) as worker:
        with pytest.raises(MaxRetriesExceededError):
            hopeless.delay().get(timeout=10)
        with pytest.raises(ValueError, match="each time"):
            automatic.delay().get(timeout=10)
        assert worker.stats()["total"] == {hopeless.name: 2, automatic.name: 3}


def test_ignore_stores_nothing_and_custom_states_stay(umbel_app: Umbel, until: Until) -> None:
    """[B1068]"""

    @umbel_app.task(bind=True)
    def custom(self: Any) -> None:
        self.update_state(state="PROGRESS", meta={"done": 3})
        raise Ignore

    with running(umbel_app) as worker:
        result = custom.delay()
        until(lambda: worker.stats()["total"].get(custom.name) == 1)
        assert result.state == "PROGRESS"
        assert result.info == {"done": 3}


def test_started_is_stored_when_asked_for(umbel_app: Umbel) -> None:
    go_on = threading.Event()
    begun = threading.Event()

    @umbel_app.task(track_started=True)
    def slow() -> int:
        begun.set()
        assert go_on.wait(20)
        return 1

    with running(umbel_app, hostname="w@h"):
        result = slow.delay()
        assert begun.wait(10)
        assert result.state == "STARTED"
        assert result.info["hostname"] == "w@h"
        go_on.set()
        assert result.get(timeout=10) == 1


def test_ignored_results_are_not_stored_but_errors_may_be(umbel_app: Umbel, until: Until) -> None:
    @umbel_app.task(ignore_result=True)
    def quiet() -> int:
        return 1

    @umbel_app.task(ignore_result=True, store_errors_even_if_ignored=True)
    def loud() -> None:
        raise ValueError("heard")

    @umbel_app.task
    def plain() -> int:
        return 2

    with running(umbel_app) as worker:
        ids = [quiet.delay().id, plain.apply_async(ignore_result=True).id, loud.delay().id]
        until(lambda: sum(worker.stats()["total"].values()) == 3)
        worker.outflow.flush(10)
        assert [umbel_app.AsyncResult(each).state for each in ids] == ["PENDING", "PENDING", "FAILURE"]


def test_reject_is_parked_and_requeue_is_bounded(umbel_app: Umbel, broker: Any, until: Until) -> None:
    runs: list[str] = []

    @umbel_app.task
    def refuse(requeue: bool) -> None:
        runs.append(str(requeue))
        raise Reject("do not want", requeue=requeue)

    with running(umbel_app) as worker:
        refuse.delay(False)
        until(lambda: worker.stats()["total"].get(refuse.name) == 1)
        refuse.delay(True)
        until(lambda: worker.stats()["total"].get(refuse.name) == 4)
        worker.outflow.flush(10)
    assert runs == ["False", "True", "True", "True"], "a poison message goes round three times and no more"
    reasons = [delivery.message.headers["x-umbel-parked-reason"] for delivery in broker.parked()]
    assert sorted(reasons) == ["crashed", "rejected"]


def test_expected_errors_are_logged_quietly(umbel_app: Umbel, caplog: pytest.LogCaptureFixture) -> None:
    """[B1112] [B1113]"""

    @umbel_app.task(throws=(KeyError,))
    def expected() -> None:
        raise KeyError("k")

    @umbel_app.task
    def unexpected() -> None:
        raise ValueError("v")

    with caplog.at_level(logging.INFO), running(umbel_app):
        expected.delay().get(timeout=10, propagate=False)
        other = unexpected.delay()
        other.get(timeout=10, propagate=False)
    by_text = {record.getMessage().partition(":")[0]: record.levelname for record in caplog.records}
    assert any("raised expected" in text and level == "INFO" for text, level in by_text.items())
    assert f"Task {unexpected.name}[{other.id}] raised unexpected" in caplog.text
    assert "Traceback" in caplog.text


def test_log_lines_of_a_task(umbel_app: Umbel, caplog: pytest.LogCaptureFixture) -> None:
    """[C004] [B1111] [B1115]"""

    @umbel_app.task
    def long() -> str:
        return "x" * 500

    with caplog.at_level(logging.INFO), running(umbel_app, hostname="w1@box"):
        result = long.apply_async(countdown=0.05)
        result.get(timeout=10)
    assert "Connected to memory://" in caplog.text
    assert "w1@box ready." in caplog.text
    line = next(text for text in caplog.messages if "succeeded in" in text)
    assert line.startswith(f"Task {long.name}[{result.id}] succeeded in 0.")
    assert len(line.rpartition("s: ")[2]) <= 46
    assert any(text.startswith(f"Received task: {long.name}[{result.id}]") for text in caplog.messages)


def test_tasks_call_tasks_and_chains_go_on(umbel_app: Umbel) -> None:
    @umbel_app.task
    def add(x: int, y: int) -> int:
        return x + y

    @umbel_app.task(bind=True)
    def outer(self: Any) -> str:
        return str(add.delay(1, 1).id)

    with running(umbel_app):
        inner = outer.delay()
        assert umbel_app.AsyncResult(inner.get(timeout=10)).get(timeout=10) == 2
        assert (add.s(1, 1) | add.s(10) | add.s(100)).delay().get(timeout=10) == 112


def test_a_countdown_is_waited_for(umbel_app: Umbel) -> None:
    @umbel_app.task
    def when() -> float:
        return time.time()

    with running(umbel_app):
        began = time.time()
        assert when.apply_async(countdown=0.3).get(timeout=10) - began >= 0.29
