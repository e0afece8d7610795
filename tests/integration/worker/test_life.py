"""A worker's life: start, stop from any state, trouble with broker and store, several in one process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from umbel import OperationalError, Umbel
from umbel.exceptions import BackendStoreError, ImproperlyConfigured, QueueNotFound, UmbelError
from umbel.worker import Step, Worker

Until = Callable[..., None]


def running(app: Umbel, **options: Any) -> Worker:
    return Worker(app, **{"pool": "threads", "concurrency": 1, "shutdown_timeout_s": 10.0, **options})


class Slow:
    """A task that waits until it is told to go on."""

    def __init__(self, app: Umbel) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.ended: list[int] = []

        @app.task
        def slow(number: int) -> int:
            self.begun.release()
            assert self.go_on.wait(20)
            self.ended.append(number)
            return number

        self.task = slow


def test_a_warm_stop_finishes_what_runs_and_gives_back_the_rest(umbel_app: Umbel, broker: Any) -> None:
    """[B964] [B967] [B976] [B977] nothing is lost, and what has not started is not counted as delivered."""
    slow = Slow(umbel_app)
    worker = running(umbel_app).start()
    worker.wait_until_ready()
    results = [slow.task.delay(number) for number in range(6)]
    assert slow.begun.acquire(timeout=10)
    stopper = threading.Thread(target=worker.stop)
    stopper.start()
    slow.go_on.set()
    stopper.join(20)
    assert not stopper.is_alive()
    assert slow.ended == [0]
    assert results[0].get(timeout=5) == 0
    left = broker.take()
    assert sorted(delivery.message.headers["id"] for delivery in left) == sorted(each.id for each in results[1:])
    assert {delivery.delivery_count for delivery in left} == {1}


def test_a_second_cold_stop_cuts_a_warm_one_short(umbel_app: Umbel, broker: Any) -> None:
    """[B966] and what was cut off runs again elsewhere."""
    slow = Slow(umbel_app)
    worker = running(umbel_app, shutdown_timeout_s=60.0).start()
    worker.wait_until_ready()
    slow.task.delay(1)
    assert slow.begun.acquire(timeout=10)
    stopper = threading.Thread(target=worker.stop)
    stopper.start()
    began = time.monotonic()
    worker.hasten()
    stopper.join(20)
    assert not stopper.is_alive()
    assert time.monotonic() - began < 15
    slow.go_on.set()
    assert len(broker.take()) == 1


def test_coroutines_that_are_cut_off_have_not_failed(
    umbel_app: Umbel, broker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A cold stop cancels them; they go back and run again, so no handler hears of an error."""
    begun = threading.Semaphore(0)
    failed: list[str] = []

    @umbel_app.task(on_failure=lambda self, *args: failed.append("failed"))
    async def sleepy() -> None:
        begun.release()
        await asyncio.sleep(60)

    @umbel_app.task
    async def own() -> None:
        raise asyncio.CancelledError("by itself")

    with running(umbel_app, pool="asyncio") as worker:
        with pytest.raises(Exception, match="by itself"):
            own.delay().get(timeout=10)
        result = sleepy.delay()
        assert begun.acquire(timeout=10)
        caplog.clear()
        worker.stop(cold=True)
    assert result.state == "PENDING"
    assert failed == []
    assert "raised unexpected" not in caplog.text
    assert [delivery.message.headers["id"] for delivery in broker.take()] == [result.id]


def test_a_stop_with_a_bound_gives_back_what_does_not_end(umbel_app: Umbel, broker: Any) -> None:
    slow = Slow(umbel_app)
    worker = running(umbel_app, shutdown_timeout_s=0.1).start()
    worker.wait_until_ready()
    slow.task.delay(1)
    assert slow.begun.acquire(timeout=10)
    worker.stop()
    slow.go_on.set()
    assert len(broker.take()) == 1


def test_stop_may_come_at_any_time_and_again(umbel_app: Umbel) -> None:
    for delay_s in (0, 0.001, 0.01, 0.05):
        worker = running(umbel_app).start()
        time.sleep(delay_s)
        worker.stop(cold=delay_s == 0.01)
        worker.stop()
        assert worker.wait_until_stopped(0)
    with pytest.raises(UmbelError, match="was started before"):
        worker.start()
    unstarted = running(umbel_app)
    unstarted.stop()


def test_no_thread_is_left_behind(umbel_app: Umbel) -> None:
    """[B988] [B989]"""
    before = set(threading.enumerate())
    with running(umbel_app):
        assert {thread.name for thread in set(threading.enumerate()) - before} >= {"umbel-intake", "umbel-outflow"}
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before


def test_two_workers_in_one_process_have_nothing_in_common(umbel_app: Umbel) -> None:
    @umbel_app.task(queue=None)
    def where() -> int:
        return 1

    with running(umbel_app, hostname="a@h", queues="one") as one:
        other = Umbel("other", broker=umbel_app.broker_url, backend=umbel_app.backend_url, set_as_current=False)

        @other.task(name=where.name)
        def there() -> int:
            return 2

        with running(other, hostname="b@h", queues="two") as two:
            assert where.apply_async(queue="one").get(timeout=10) == 1
            assert where.apply_async(queue="two").get(timeout=10) == 2
            assert (one.stats()["total"], two.stats()["total"]) == ({where.name: 1}, {where.name: 1})
        other.close()


def test_users_steps_stand_in_the_graph(umbel_app: Umbel) -> None:
    log: list[str] = []

    class Mine(Step):
        name: ClassVar[str] = "mine"
        requires: ClassVar[Any] = ("outflow",)

        def start(self, worker: Any) -> None:
            log.append(f"start, ready: {worker.is_ready}")

        def stop(self, worker: Any) -> None:
            log.append(f"stop, connected: {worker.intake.is_connected}")

        def info(self, worker: Any) -> dict[str, int]:
            return {"answer": 42}

    umbel_app.steps["worker"].add(Mine)
    with running(umbel_app) as worker:
        assert worker.stats()["mine"] == {"answer": 42}
    assert log == ["start, ready: False", "stop, connected: False"] or log[0].startswith("start")
    assert log[-1].startswith("stop")


def test_a_step_that_fails_stops_the_worker(umbel_app: Umbel) -> None:
    """[B978]"""

    class Failing(Step):
        requires: ClassVar[Any] = ("intake",)

        def start(self, worker: Any) -> None:
            raise RuntimeError("no database")

    before = set(threading.enumerate())
    worker = running(umbel_app, steps=[Failing])
    with pytest.raises(RuntimeError, match="no database"):
        worker.start()
    assert worker.wait_until_stopped(0)
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before


class Flaky:
    """Makes an application's transports fail as a broker that comes and goes."""

    def __init__(self, app: Umbel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.down = False
        self.opened: list[Any] = []
        self._open = app.open_transport
        monkeypatch.setattr(app, "open_transport", self.open)

    def open(self, timeout_s: float | None = None) -> Any:
        if self.down:
            raise OperationalError("broker is down")
        transport = self._open(timeout_s)
        consume = transport.consume

        def consume_flaky(*args: Any, **kwargs: Any) -> Any:
            consumer = consume(*args, **kwargs)
            receive = consumer.receive

            def receive_flaky(limit: int, timeout_s: float) -> Any:
                if self.down:
                    raise OperationalError("connection lost")
                return receive(limit, min(timeout_s, 0.05))

            consumer.receive = receive_flaky  # type: ignore[method-assign]
            return consumer

        transport.consume = consume_flaky  # type: ignore[method-assign]
        return transport


def test_the_worker_survives_its_broker(
    umbel_app: Umbel, monkeypatch: pytest.MonkeyPatch, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """[B983] [C018]"""

    @umbel_app.task
    def fine() -> int:
        return 1

    flaky = Flaky(umbel_app, monkeypatch)
    with running(umbel_app) as worker:
        assert fine.delay().get(timeout=10) == 1
        flaky.down = True
        until(lambda: not worker.is_ready)
        until(lambda: "Trying again in" in caplog.text)
        flaky.down = False
        until(lambda: worker.is_ready)
        assert fine.delay().get(timeout=10) == 1
        assert worker.stats()["intake"]["reconnects"] == 1


@pytest.mark.umbel(broker_connection_retry_on_startup=False)
def test_a_worker_may_give_up_at_start(umbel_app: Umbel, monkeypatch: pytest.MonkeyPatch) -> None:
    Flaky(umbel_app, monkeypatch).down = True
    worker = running(umbel_app).start()
    with pytest.raises(UmbelError, match="could not start: cannot connect to memory://"):
        worker.wait_until_ready()
    assert worker.wait_until_stopped(10)


def test_results_wait_for_their_store(umbel_app: Umbel, monkeypatch: pytest.MonkeyPatch, until: Until) -> None:
    """[B982] A store that is down delays results and acknowledgements; it loses none."""

    @umbel_app.task
    def fine(number: int) -> int:
        return number

    store = umbel_app.backend.store
    down = threading.Event()
    down.set()

    def flaky_store(metas: Any) -> None:
        if down.is_set():
            raise BackendStoreError("store is down")
        store(metas)

    monkeypatch.setattr(umbel_app.backend, "store", flaky_store)
    with running(umbel_app) as worker:
        results = [fine.delay(number) for number in range(10)]
        until(lambda: not worker.outflow.is_healthy)
        assert not worker.is_ready
        down.clear()
        assert [result.get(timeout=20) for result in results] == list(range(10))
        until(lambda: worker.is_ready)


def test_what_a_pool_cannot_do_is_refused_at_start(umbel_app: Umbel) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"'threads' cannot keep a hard time limit.*prefork"):
        running(umbel_app, time_limit=5)
    with pytest.raises(ImproperlyConfigured, match="max_tasks_per_child"):
        running(umbel_app, max_tasks_per_child=5)

    @umbel_app.task(time_limit=3)
    def limited() -> None: ...

    with pytest.raises(ImproperlyConfigured, match=r"which these tasks have: .*limited"):
        running(umbel_app)


@pytest.mark.parametrize("limits", [{"time_limit": 5, "soft_time_limit": 5}, {"time_limit": 5, "soft_time_limit": 9}])
def test_a_soft_limit_stands_below_the_hard_one(umbel_app: Umbel, limits: dict[str, float]) -> None:
    with pytest.raises(ImproperlyConfigured, match="must be below"):
        running(umbel_app, pool="prefork", **limits)


@pytest.mark.umbel(task_create_missing_queues=False, task_queues=["alpha", "beta"])
def test_unknown_queues_are_refused_with_the_nearest(umbel_app: Umbel) -> None:
    with pytest.raises(QueueNotFound, match="did you mean 'alpha'"):
        running(umbel_app, queues="alpah")
    with pytest.raises(ImproperlyConfigured, match="cannot exclude queue 'gamma'"):
        running(umbel_app, exclude_queues="gamma")
    assert [queue.name for queue in running(umbel_app, exclude_queues="alpha").queues] == ["beta"]


@pytest.mark.parametrize("concurrency", ["many", -1, "-3"])
def test_concurrency_is_a_number(umbel_app: Umbel, concurrency: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="concurrency: expected a whole number"):
        running(umbel_app, concurrency=concurrency)


def test_purge_before_the_start(umbel_app: Umbel) -> None:
    runs: list[int] = []

    @umbel_app.task
    def count() -> None:
        runs.append(1)

    for _ in range(3):
        count.delay()
    with running(umbel_app, purge=True):
        count.delay().get(timeout=10)
    assert runs == [1]


def test_long_tasks_are_not_hoarded(umbel_app: Umbel, broker: Any, until: Until) -> None:
    """[B1031] A worker claims what it can soon start, times the prefetch setting; the rest stays for others."""
    slow = Slow(umbel_app)
    for number in range(40):
        slow.task.delay(number)
    with running(umbel_app, prefetch_multiplier=2) as worker:
        assert slow.begun.acquire(timeout=10)
        until(lambda: worker.jobs.size() == 2)
        assert broker.count() == 38
        slow.go_on.set()
        until(lambda: len(slow.ended) == 40)


def test_a_pool_that_cannot_go_on_ends_the_worker(umbel_app: Umbel) -> None:
    """[B980]"""
    worker = running(umbel_app).start()
    worker.wait_until_ready()
    worker.reports.failed("its processes die")
    assert worker.wait_until_stopped(10)
    assert worker.failure == "its processes die"
    assert not worker.is_ready
