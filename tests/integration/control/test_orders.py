"""Commands that change how a worker works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from umbel.exceptions import ImproperlyConfigured


def tell(site: Any, method: str, **arguments: Any) -> Any:
    [reply] = site.app.control.broadcast(method, arguments, reply=True, destination=["w1@here"], timeout=20)
    return reply["w1@here"]


def test_the_pool_grows_and_shrinks(memory_site: Any) -> None:
    worker = memory_site.worker(concurrency=1)
    first = memory_site.app.send_task("control.hold", ("1",))
    second = memory_site.app.send_task("control.hold", ("2",))
    memory_site.gate.has_arrived(1)
    assert tell(memory_site, "pool_grow", n=1) == {"ok": "pool will grow"}
    memory_site.gate.has_arrived(1)  # the second runs beside the first
    memory_site.gate.open(2)
    assert {first.get(timeout=20), second.get(timeout=20)} == {"1", "2"}
    assert tell(memory_site, "pool_shrink") == {"ok": "pool will shrink"}
    assert worker.concurrency == 1
    assert "at least one process" in tell(memory_site, "pool_shrink")["error"]
    assert "whole number" in tell(memory_site, "pool_grow", n=0)["error"]


def test_a_pool_of_one_says_that_it_cannot_grow(memory_site: Any) -> None:
    memory_site.worker(pool="solo")
    assert "'solo' cannot grow or shrink" in tell(memory_site, "pool_grow")["error"]


def test_the_pool_is_scaled_with_the_work(memory_site: Any, until: Callable[..., None], monkeypatch: Any) -> None:
    """[B192] [A271]."""
    monkeypatch.setenv("AUTOSCALE_KEEPALIVE", "0.01")
    worker = memory_site.worker(autoscale="3,1")
    assert worker.concurrency == 1
    results = [memory_site.app.send_task("control.hold", (str(n),)) for n in range(3)]
    memory_site.gate.has_arrived(3)
    until(lambda: worker.concurrency == 3, "the larger pool")
    assert "autoscale" in tell(memory_site, "pool_grow")["error"]
    memory_site.gate.open(3)
    assert [result.get(timeout=20) for result in results] == ["0", "1", "2"]
    until(lambda: worker.concurrency == 1, "the smaller pool")
    assert tell(memory_site, "autoscale", max=5, min=2) == {"ok": "autoscale now max=5 min=2"}
    assert worker.concurrency == 2
    assert "1 <= min <= max" in tell(memory_site, "autoscale", max=1)["error"]


@pytest.mark.parametrize("bounds", ["", "x", "1,2", "3,1,1", "0"])
def test_bounds_that_are_none_are_refused(memory_site: Any, bounds: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="autoscale: expected MAX,MIN"):
        memory_site.worker(autoscale=bounds)


def test_autoscale_is_for_workers_that_were_started_with_it(memory_site: Any) -> None:
    memory_site.worker()
    assert "Autoscale not enabled" in tell(memory_site, "autoscale", max=3, min=1)["error"]


def test_queues_come_and_go(site: Any) -> None:
    """[B223] [A581]."""
    worker = site.worker()
    name = f"{site.app.conf.task_default_queue}-more"
    result = site.app.send_task("control.add", (1, 1), queue=name)
    assert tell(site, "add_consumer", queue=name) == {"ok": f"add consumer {name}"}
    assert result.get(timeout=20) == 2
    assert {queue["name"] for queue in tell(site, "active_queues")} == set(worker.intake.queues)
    assert tell(site, "cancel_consumer", queue=name) == {"ok": f"no longer consuming from {name}"}
    assert name not in worker.intake.queues
    assert site.app.send_task("control.add", (2, 2)).get(timeout=20) == 4


def test_the_pool_is_made_anew(memory_site: Any, until: Callable[..., None]) -> None:
    memory_site.app.conf.worker_pool_restarts = True
    worker = memory_site.worker()
    before = worker.pool
    running = memory_site.app.send_task("control.hold", ("before",))
    memory_site.gate.has_arrived()
    assert tell(memory_site, "pool_restart", modules=["json"], reload=False) == {"ok": "reload started"}
    memory_site.gate.open()
    assert running.get(timeout=20) == "before"
    until(lambda: worker.pool is not before, "the new pool")
    assert memory_site.app.send_task("control.add", (1, 2)).get(timeout=20) == 3


def test_the_pool_is_not_made_anew_unless_that_is_allowed(memory_site: Any) -> None:
    memory_site.worker()
    assert "Pool restarts not enabled" in tell(memory_site, "pool_restart")["error"]


def test_a_worker_is_shut_down(site: Any) -> None:
    """[A278] [B728]: what runs is finished."""
    worker = site.worker()
    running = site.app.send_task("control.hold", ("last",))
    site.gate.has_arrived()
    site.app.control.shutdown()
    assert not worker.wait_until_stopped(0.05)
    site.gate.open()
    assert worker.wait_until_stopped(20)
    assert running.get(timeout=20) == "last"


def test_a_worker_that_finishes_its_last_task_still_answers(memory_site: Any) -> None:
    worker = memory_site.worker()
    memory_site.app.send_task("control.hold", ("last",))
    memory_site.gate.has_arrived()
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    assert tell(memory_site, "ping") == {"ok": "pong"}
    memory_site.gate.open()
    stopping.join(20)
    assert not stopping.is_alive()


# -- limits -----------------------------------------------------------------------------------------------------------


def test_a_limited_task_starts_at_its_rate_and_blocks_no_other(memory_site: Any) -> None:
    """[A272] [B1026]: six at ten a second take half a second."""
    memory_site.worker()
    assert tell(memory_site, "rate_limit", task_name="control.add", rate_limit="10/s") == {
        "ok": "new rate limit set successfully"
    }
    began = time.monotonic()
    results = [memory_site.app.send_task("control.add", (n, 0)) for n in range(6)]
    memory_site.gate.open()
    assert memory_site.app.send_task("control.hold", ("free",)).get(timeout=20) == "free"
    assert not results[-1].ready()
    assert [result.get(timeout=20) for result in results] == list(range(6))
    assert time.monotonic() - began >= 0.49
    assert memory_site.ran == ["free", *[(n, 0) for n in range(6)]] or memory_site.ran[0] == (0, 0)


def test_a_limit_that_is_lifted_frees_what_was_held(memory_site: Any, until: Callable[..., None]) -> None:
    worker = memory_site.worker()
    tell(memory_site, "rate_limit", task_name="control.add", rate_limit="1/s")
    results = [memory_site.app.send_task("control.add", (n, 0)) for n in range(3)]
    results[0].get(timeout=20)
    until(worker.admission.waiting)
    assert len(tell(memory_site, "reserved")) == len(worker.admission.waiting()) == 2
    assert tell(memory_site, "scheduled") == []
    assert tell(memory_site, "rate_limit", task_name="control.add", rate_limit=0) == {
        "ok": "rate limit disabled successfully"
    }
    assert worker.admission.waiting() == [] or all(result.get(timeout=0.9) in (0, 1, 2) for result in results)


def test_what_must_wait_long_goes_back_to_the_broker(site: Any, until: Callable[..., None]) -> None:
    """It takes no place in memory, and is not lost when the worker ends."""
    worker = site.worker()
    tell(site, "rate_limit", task_name="control.add", rate_limit="1/h")
    results = [site.app.send_task("control.add", (n, 0)) for n in range(5)]
    results[0].get(timeout=20)
    site.gate.open()
    assert site.app.send_task("control.hold", ("free",)).get(timeout=20) == "free"
    until(lambda: not worker.admission.waiting() and not worker.jobs.size())
    assert [result.ready() for result in results] == [True, False, False, False, False]


@pytest.mark.parametrize("rate", ["soon", "10/x", -1, "1/m/m", [], True])
def test_a_rate_that_is_none_is_refused(memory_site: Any, rate: Any) -> None:
    memory_site.worker()
    answer = tell(memory_site, "rate_limit", task_name="control.add", rate_limit=rate)
    assert answer["error"].startswith("Invalid rate limit string: expected a rate such as")


def test_a_rate_that_is_none_stops_the_start(memory_site: Any) -> None:
    memory_site.app.tasks["control.add"].rate_limit = "often"
    with pytest.raises(ImproperlyConfigured, match="rate_limit of a task: expected a rate such as"):
        memory_site.worker()


def test_limits_can_be_switched_off(memory_site: Any) -> None:
    """[A273]."""
    memory_site.app.conf.worker_disable_rate_limits = True
    memory_site.app.tasks["control.add"].rate_limit = "1/h"
    worker = memory_site.worker()
    assert worker.admission.gates == []
    results = [memory_site.app.send_task("control.add", (n, 0)) for n in range(3)]
    assert [result.get(timeout=20) for result in results] == [0, 1, 2]
    assert "switched off" in tell(memory_site, "rate_limit", task_name="control.add", rate_limit="1/s")["error"]


def test_unknown_tasks_are_named_with_the_nearest(memory_site: Any) -> None:
    memory_site.worker()
    for method, value in (("rate_limit", {"rate_limit": 1}), ("time_limit", {"soft": 1})):
        answer = tell(memory_site, method, task_name="control.ad", **value)
        assert answer == {"error": "unknown task; did you mean 'control.add'?"}


def test_limits_that_the_pool_cannot_keep_are_refused(memory_site: Any) -> None:
    memory_site.worker()
    assert "cannot keep a hard time limit" in tell(memory_site, "time_limit", task_name="control.add", hard=1)["error"]
    assert memory_site.app.tasks["control.add"].time_limit is None


def test_events_are_switched(memory_site: Any) -> None:
    """[A281]."""
    worker = memory_site.worker()
    if worker.control.events is None:
        assert tell(memory_site, "enable_events") == {"error": "event dispatcher unavailable"}
        return
    assert tell(memory_site, "enable_events") == {"ok": "task events enabled"}
    assert tell(memory_site, "enable_events") == {"ok": "task events already enabled"}
    assert tell(memory_site, "disable_events") == {"ok": "task events disabled"}
    assert tell(memory_site, "disable_events") == {"ok": "task events already disabled"}
