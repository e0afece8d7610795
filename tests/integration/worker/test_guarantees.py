"""Promises that stand between the lines of the manual, each over a real worker."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from umbel import Task, Umbel, group
from umbel.exceptions import OperationalError
from umbel.worker import Worker

Until = Callable[..., None]


def running(app: Umbel, **options: Any) -> Worker:
    return Worker(app, **{"pool": "threads", "concurrency": 1, "shutdown_timeout_s": 10.0, **options})


# -- the connection ---------------------------------------------------------------------------------------------------


class Consumers:
    """Lets a test break the consumers of an application's transports: *receive* and *close* are called in their place."""

    def __init__(self, app: Umbel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on_receive: Callable[[], None] = lambda: None
        self.on_close: Callable[[], None] = lambda: None
        opening = app.open_transport

        def open_transport(timeout_s: float | None = None) -> Any:
            transport = opening(timeout_s)
            consuming = transport.consume
            monkeypatch.setattr(transport, "consume", lambda *args: self._wrap(consuming(*args)))
            return transport

        monkeypatch.setattr(app, "open_transport", open_transport)

    def _wrap(self, consumer: Any) -> Any:
        receive, close = consumer.receive, consumer.close

        def receive_or_break(limit: int, timeout_s: float) -> Any:
            self.on_receive()
            return receive(limit, min(timeout_s, 0.05))

        def close_and_break() -> None:
            close()
            self.on_close()

        consumer.receive, consumer.close = receive_or_break, close_and_break
        return consumer


def fail(error: Exception) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


def test_errors_of_a_consumer_that_runs_are_not_silenced(
    umbel_app: Umbel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """[B979] what is no loss of the connection ends the worker, and is told."""
    consumers = Consumers(umbel_app, monkeypatch)
    worker = running(umbel_app).start()
    worker.wait_until_ready()
    consumers.on_receive = fail(ZeroDivisionError("a fault of the plugin"))
    assert worker.wait_until_stopped(10)
    assert "a fault of the plugin" in str(worker.failure)
    assert "Traceback" in caplog.text


def test_a_consumer_that_cannot_be_closed_does_not_keep_the_worker_from_connecting_again(
    umbel_app: Umbel, monkeypatch: pytest.MonkeyPatch, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """[B985] [B970] nor from stopping; pauses grow although each connection can be made."""
    consumers = Consumers(umbel_app, monkeypatch)
    runs: list[int] = []

    @umbel_app.task
    def count(number: int) -> int:
        runs.append(number)
        return number

    consumers.on_close = fail(OSError("broken pipe"))
    with running(umbel_app) as worker:
        assert count.delay(1).get(timeout=10) == 1
        consumers.on_receive = fail(OperationalError("connection lost"))
        until(lambda: not worker.is_ready, "saying so while it waits")
        until(lambda: "(3/100)" in caplog.text, "the third try")
        consumers.on_receive = lambda: None
        until(lambda: worker.is_ready)
        assert count.delay(2).get(timeout=10) == 2
        assert worker.stats()["intake"]["reconnects"] >= 1
    assert runs == [1, 2]


# -- prefetch ---------------------------------------------------------------------------------------------------------


def test_tasks_that_wait_for_their_time_starve_no_other(umbel_app: Umbel) -> None:
    """[B1034] [B1035] those held by the worker, and those that go back to the store."""

    @umbel_app.task
    def plain(number: int) -> int:
        return number

    with running(umbel_app, prefetch_multiplier=1):
        soon = [plain.apply_async((number,), countdown=0.9) for number in range(30)]
        late = [plain.apply_async((number,), countdown=60) for number in range(30)]
        assert plain.delay(7).get(timeout=10) == 7
        assert [result.get(timeout=10) for result in soon] == list(range(30))
        assert {result.state for result in late} == {"PENDING"}


# -- pools ------------------------------------------------------------------------------------------------------------


def test_the_threads_pool_keeps_nothing_of_its_tasks(umbel_app: Umbel) -> None:
    """[B1010]"""

    @umbel_app.task
    def plain() -> int:
        return threading.active_count()

    with running(umbel_app, concurrency=4) as worker:
        first = [result.get(timeout=10) for result in plain.delay_many([()] * 50)]
        last = [result.get(timeout=10) for result in plain.delay_many([()] * 500)]
        assert max(last) <= max(first)
        assert worker.jobs.size() == 0


def test_an_exception_in_any_writing_comes_back_with_its_traceback(umbel_app: Umbel) -> None:
    """[B1012]"""

    @umbel_app.task
    def odd(text: str) -> None:
        raise ValueError(text)

    with running(umbel_app):
        for text in ("größer", "日本語", "\U0001f33f", "line\nbreak", "\x00"):
            result = odd.delay(text)
            error: Any = result.get(timeout=10, propagate=False)
            assert type(error) is ValueError
            assert error.args == (text,)
            assert text.split("\n")[0] in (result.traceback or "")


# -- results ----------------------------------------------------------------------------------------------------------


def test_callers_write_nothing_into_the_store(umbel_app: Umbel) -> None:
    """[B1048] so that no caller can overwrite the worker's result."""

    @umbel_app.task
    def plain() -> None: ...

    result = plain.delay()
    assert umbel_app.backend.load([result.id]) == [None]
    assert result.state == "PENDING"
    assert umbel_app.backend.load([result.id]) == [None]


def test_ends_have_their_time_and_tracebacks_are_text(umbel_app: Umbel, until: Until) -> None:
    """[B1051] [B1056] [B1081]"""
    go_on = threading.Event()

    @umbel_app.task
    def plain() -> None: ...

    @umbel_app.task
    def bad() -> None:
        raise ValueError("x")

    @umbel_app.task(bind=True, max_retries=1)
    def again(self: Any) -> None:
        assert go_on.wait(10) or self.request.retries == 0
        raise self.retry(countdown=0.2, exc=KeyError("k"))

    began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    with running(umbel_app, concurrency=2):
        good, failed = plain.delay(), bad.delay()
        for result in (good, failed):
            result.get(timeout=10, propagate=False)
            assert isinstance(result.date_done, dt.datetime)
            assert began <= result.date_done.astimezone(dt.UTC) <= dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
        assert good.traceback is None
        assert str(failed.traceback).startswith("Traceback (most recent call last)")
        go_on.set()
        retried = again.delay()
        until(lambda: retried.state == "RETRY")
        assert str(retried.traceback).startswith("Traceback (most recent call last)")
        assert isinstance(retried.result, KeyError)
        retried.get(timeout=10, propagate=False)


def test_groups_wait_without_bound_when_asked_and_run_in_place(umbel_app: Umbel) -> None:
    """[B1070] [B1071] [B1091]"""

    @umbel_app.task(queue="other")
    def add(x: int, y: int) -> int:
        return x + y

    members = group(add.s(number, number) for number in range(4))
    assert [result.get() for result in members.apply()] == [0, 2, 4, 6]
    with running(umbel_app, queues="other"):
        assert members.delay().join(timeout=None) == [0, 2, 4, 6], "they went to the queue of their task"


# -- retries ----------------------------------------------------------------------------------------------------------


def test_a_retry_keeps_the_time_that_it_was_given(umbel_app: Umbel) -> None:
    """[B1080] [B1077] and the queue that the first call went to."""
    seen: list[tuple[str | None, str]] = []
    when = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.4)

    @umbel_app.task(bind=True)
    def late(self: Any) -> float:
        seen.append((self.request.eta, self.request.delivery_info["routing_key"]))
        if self.request.retries == 0:
            raise self.retry(eta=when)
        return dt.datetime.now(dt.UTC).timestamp()

    with running(umbel_app, queues="odd,celery"):
        assert late.apply_async(queue="odd").get(timeout=10) >= when.timestamp()
    assert [queue for _, queue in seen] == ["odd", "odd"]
    assert dt.datetime.fromisoformat(str(seen[1][0])) == when


def test_a_task_without_run_and_a_plain_process_are_told_apart(umbel_app: Umbel) -> None:
    """[B1079] inside a worker a direct call of a task has a request of its own."""

    class Asking(Task[..., Any]):
        def run(self, depth: int) -> Any:
            inner = self(depth - 1) if depth else None
            return [bool(self.request.called_directly), inner]

    asking = umbel_app.register_task(Asking())
    with running(umbel_app):
        assert asking.delay(1).get(timeout=10) == [False, [True, None]]
    assert os.getpid()
