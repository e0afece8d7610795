"""``apply()`` and ``task_always_eager``: handlers, signals, retries, callbacks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from umbel import Ignore, MaxRetriesExceededError, Reject, Retry, Task, Umbel, chain, chord, group, signals
from umbel.retries import backoff_s


class Recorder(Task[..., Any]):
    """Writes down which handlers were called."""

    abstract = True
    seen: list[Any] = []  # noqa: RUF012 - each test gives its own

    def before_start(self, task_id: Any, args: Any, kwargs: Any) -> None:
        self.seen.append(("before_start", task_id, tuple(args)))

    def on_success(self, retval: Any, task_id: Any, args: Any, kwargs: Any) -> None:
        self.seen.append(("on_success", retval))

    def on_retry(self, exc: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any) -> None:
        self.seen.append(("on_retry", str(exc)))

    def on_failure(self, exc: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any) -> None:
        self.seen.append(("on_failure", str(exc), "Traceback" in str(einfo)))

    def after_return(self, status: str, retval: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any) -> None:
        self.seen.append(("after_return", status))


@pytest.fixture
def eager(umbel_app: Umbel) -> Umbel:
    umbel_app.conf.task_always_eager = True
    return umbel_app


def recorded(app: Umbel, function: Any, **options: Any) -> Any:
    return app.task(base=Recorder, seen=[], name=function.__name__, **options)(function)  # type: ignore[call-overload]


def test_handlers_run_in_order(eager: Umbel) -> None:
    """[B1089] [B487] [B490] [B481] [B1088]"""
    task = recorded(eager, add_one)
    result = task.apply_async((1,), task_id="i")
    assert result.id == "i"
    assert (result.get(), result.state, result.successful()) == (2, "SUCCESS", True)
    assert task.seen == [("before_start", "i", (1,)), ("on_success", 2), ("after_return", "SUCCESS")]


def add_one(x: int) -> int:
    return x + 1


def fail(x: int) -> int:
    raise ValueError(f"no {x}")


def test_failures_are_kept_or_thrown(eager: Umbel) -> None:
    """[B1055] [B465] [A544] [B488]"""
    task = recorded(eager, fail)
    result = task.delay(3)
    assert result.failed()
    assert isinstance(result.result, ValueError)
    assert "no 3" in result.traceback
    with pytest.raises(ValueError, match="no 3"):
        result.get()
    assert task.seen[1:] == [("on_failure", "no 3", True), ("after_return", "FAILURE")]
    with pytest.raises(ValueError, match="no 3"):
        task.apply((3,), throw=True)
    eager.conf.task_eager_propagates = True
    with pytest.raises(ValueError, match="no 3"):
        task.delay(3)


def test_signals_are_sent(eager: Umbel) -> None:
    """[B1089] [A465] [A466]"""
    seen: list[str] = []

    def hear(signal: Any, **_: Any) -> None:
        seen.append(signal.name)

    heard = [signals.task_prerun, signals.task_success, signals.task_failure, signals.task_postrun]
    for signal in heard:
        signal.connect(hear)
    try:
        recorded(eager, add_one).delay(1)
        recorded(eager, fail).delay(1)
    finally:
        for signal in heard:
            signal.disconnect(hear)
    assert seen == ["task_prerun", "task_success", "task_postrun", "task_prerun", "task_failure", "task_postrun"]


def test_the_request_is_there(eager: Umbel) -> None:
    """[A119]-[A123] [B466]"""

    @eager.task(bind=True, name="look")
    def look(self: Task[..., Any], *args: int) -> Any:
        request = self.request
        return request.id, request.is_eager, request.called_directly, list(request.args or ()), request.retries

    assert look.apply_async((1, 2), task_id="i").get() == ("i", True, False, [1, 2], 0)


def test_retries_run_at_once_until_they_are_used_up(eager: Umbel) -> None:
    """[A130] [A131] [B482] [B489]"""

    def flaky(self: Any, ends: int) -> int:
        if self.request.retries < ends:
            raise self.retry(exc=KeyError(f"try {self.request.retries}"), countdown=100)
        return int(self.request.retries)

    task = recorded(eager, flaky, bind=True)
    assert task.delay(2).get() == 2
    assert [event[0] for event in task.seen].count("on_retry") == 2
    failed = task.delay(9)
    assert failed.state == "FAILURE"
    assert isinstance(failed.result, KeyError)


def test_without_an_exception_the_last_retry_says_that_it_was_the_last(eager: Umbel) -> None:
    """[B486] [A132]"""

    @eager.task(bind=True, max_retries=1, name="again")
    def again(self: Task[..., Any]) -> None:
        self.retry(countdown=0)

    with pytest.raises(MaxRetriesExceededError, match=r"Can't retry again\["):
        again.delay().get()


def test_max_retries_of_the_call_and_none_for_ever(eager: Umbel) -> None:
    """[B485] [B449]"""

    @eager.task(bind=True, max_retries=None, name="often")
    def often(self: Task[..., Any], ends: int, limit: int | None = None) -> int:
        if self.request.retries < ends:
            raise self.retry(max_retries=limit)
        return self.request.retries

    assert often.delay(50).get() == 50
    with pytest.raises(MaxRetriesExceededError):
        often.delay(50, 2).get()


def test_a_direct_call_is_never_retried(umbel_app: Umbel) -> None:
    """[B1078]"""

    @umbel_app.task(bind=True, name="direct")
    def direct(self: Task[..., Any], exc: BaseException | None) -> None:
        try:
            raise KeyError("original")
        except KeyError:
            self.retry(exc=exc)

    with pytest.raises(ValueError, match="given"):
        direct(ValueError("given"))
    with pytest.raises(KeyError, match="original"):
        direct(None)


def test_retry_may_return_instead_of_raising(eager: Umbel) -> None:
    """[A134] [B484]"""

    @eager.task(bind=True, name="quiet")
    def quiet(self: Task[..., Any]) -> str:
        if self.request.retries:
            return "second"
        retry = self.retry(throw=False, countdown=5)
        assert isinstance(retry, Retry)
        assert retry.when == 5
        return "first"

    assert quiet.delay().get() == "first"


def test_autoretry_for_backs_off(eager: Umbel) -> None:
    """[2.8 autoretry_for, dont_autoretry_for, retry_kwargs, retry_backoff]"""
    attempts: list[int] = []

    @eager.task(
        bind=True, name="auto", autoretry_for=(OSError,), dont_autoretry_for=(PermissionError,), retry_backoff=True
    )
    def auto(self: Task[..., Any], exc: type[Exception], ends: int) -> int:
        attempts.append(self.request.retries)
        if self.request.retries < ends:
            raise exc("x")
        return self.request.retries

    assert auto.delay(ConnectionError, 2).get() == 2
    assert auto.delay(PermissionError, 2).state == "FAILURE"
    assert auto.delay(ConnectionError, 99).state == "FAILURE"
    assert attempts == [0, 1, 2, 0, 0, 1, 2, 3]


def test_backoff_grows_up_to_its_maximum() -> None:
    assert [backoff_s(1, retries, 600) for retries in (0, 1, 5, 20, 100_000)] == [1, 2, 32, 600, 600]
    assert backoff_s(0.5, 1, 600) == 1
    assert all(0 <= backoff_s(4, 3, 600, full_jitter=True) <= 32 for _ in range(200))


def test_ignore_and_reject_are_states_of_their_own(eager: Umbel) -> None:
    @eager.task(name="leave")
    def leave(exc: str) -> None:
        raise {"ignore": Ignore(), "reject": Reject("broken")}[exc]

    assert leave.delay("ignore").state == "IGNORED"
    assert leave.delay("reject").state == "REJECTED"


def test_links_and_errbacks_are_called(eager: Umbel) -> None:
    seen: list[Any] = []

    @eager.task(name="note")
    def note(*args: Any) -> None:
        seen.append(args)

    @eager.task(name="handle")
    def handle(request: Any, exc: Any, traceback: Any) -> None:
        seen.append((request.id, str(exc), "Traceback" in traceback))

    recorded(eager, add_one).apply_async((1,), link=[note.s(5), note.si(6)])
    recorded(eager, fail).apply_async((1,), link_error=[handle.s()], task_id="f")
    assert seen == [(2, 5), (6,), ("f", "no 1", True)]


def test_coroutine_tasks_run_with_and_without_a_loop(eager: Umbel) -> None:
    @eager.task(name="slow")
    async def slow(x: int) -> int:
        await asyncio.sleep(0)
        return x

    async def inside() -> int:
        return slow.apply((2,)).get()

    assert slow.is_coroutine
    assert slow.delay(1).get() == 1
    assert asyncio.run(inside()) == 2

    async def direct() -> int:
        return await slow(3)

    assert asyncio.run(direct()) == 3


def test_workflows_run_at_once(eager: Umbel) -> None:
    """[C011]"""

    @eager.task(name="plus")
    def plus(x: int, y: int) -> int:
        return x + y

    @eager.task(name="total")
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    assert chain(plus.s(1, 2), plus.s(3), plus.s(4)).delay().get() == 10
    assert group(plus.s(i, i) for i in range(3)).delay().get() == [0, 2, 4]
    assert chord([plus.s(i, i) for i in range(100)])(total.s()).get() == 9900  # [A335]
    assert (plus.s(1, 1) | group(plus.s(1), plus.s(2)) | total.s()).delay().get() == 7
    assert eager.send_tasks([plus.s(1, 1), plus.s(2, 2)])[1].get() == 4
    assert plus.delay_many([(1, 2), (3, 4)])[1].get() == 7


def test_eager_results_are_stored_when_asked(eager: Umbel) -> None:
    """[2.1 task_store_eager_result]"""
    task = recorded(eager, add_one)
    assert eager.AsyncResult(task.delay(1).id).state == "PENDING"
    eager.conf.task_store_eager_result = True
    assert eager.AsyncResult(task.delay(1).id).get(timeout=5) == 2


def test_send_task_by_name_is_eager_for_known_tasks_only(eager: Umbel) -> None:
    recorded(eager, add_one)
    assert eager.send_task("add_one", (1,)).get() == 2
    with pytest.warns(UserWarning, match="'far.away' is not registered here"):
        eager.send_task("far.away")
