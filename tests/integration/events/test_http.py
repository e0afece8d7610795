"""The HTTP endpoint of a node."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from umbel import Umbel
from umbel.exceptions import ImproperlyConfigured
from umbel.worker import Worker
from umbel.worker.http import HttpStep
from umbel.worker.http.exposition import Exposition, Histogram
from umbel.worker.http.server import NodeServer, parse_address

Until = Callable[..., None]


def node(app: Umbel, **options: Any) -> Worker:
    app.conf.worker_http = "127.0.0.1:0"
    return Worker(app, **{"pool": "threads", "concurrency": 2, "hostname": "w@h", **options})


def ask(worker: Worker, path: str, method: str = "GET") -> tuple[int, str]:
    step = worker.graph["http"]
    assert isinstance(step, HttpStep)
    connection = http.client.HTTPConnection("127.0.0.1", step.port, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def metrics(worker: Worker) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    status, text = ask(worker, "/metrics")
    assert status == 200
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def test_a_worker_that_works_is_alive_and_ready(umbel_app: Umbel) -> None:
    with node(umbel_app) as worker:
        assert ask(worker, "/live") == (200, "alive\n")
        assert ask(worker, "/ready/?x=1") == (200, "ready\n")
        assert ask(worker, "/ready", "HEAD") == (200, "")
        status, text = ask(worker, "/nothing")
        assert (status, text) == (404, "no such page; there are /live, /metrics, /ready\n")
        assert ask(worker, "/live", "POST")[0] == 501


def test_a_worker_that_does_not_work_says_why(umbel_app: Umbel, until: Until) -> None:
    with node(umbel_app) as worker:
        worker.intake.is_connected = False
        status, text = ask(worker, "/ready")
        assert (status, text) == (503, "not connected to the broker\n")
        worker.intake.is_connected = True
        worker.outflow.trouble = "the disk is full"
        assert "cannot be committed: the disk is full" in ask(worker, "/ready")[1]
        worker.outflow.trouble = None
        worker.intake.last_poll = time.monotonic() - 60

        def is_stuck() -> bool:  # until the intake's next look at the broker
            worker.intake.last_poll = time.monotonic() - 60
            status, text = ask(worker, "/ready")
            return status == 503 and "60 s ago" in text

        until(is_stuck)
        until(lambda: ask(worker, "/ready")[0] == 200, "it is well again")
        worker.failure = "broken"
        assert ask(worker, "/ready") == (503, "the worker cannot go on: broken\n")
        assert ask(worker, "/live")[0] == 200
        worker.failure = None


def test_the_figures_are_those_of_the_tasks(umbel_app: Umbel, until: Until) -> None:
    umbel_app.conf.task_unknown_retry_s = 0.0
    go_on = threading.Event()
    begun = threading.Event()

    @umbel_app.task(name="good")
    def good() -> None: ...

    @umbel_app.task(name='b"a\\d')
    def bad() -> None:
        raise ValueError

    @umbel_app.task(name="slow")
    def slow() -> None:
        begun.set()
        assert go_on.wait(20)

    with node(umbel_app) as worker:
        for _ in range(3):
            good.delay()
        bad.delay()
        umbel_app.send_task("made.up")
        good.apply_async(expires=-1)
        slow.delay()
        assert begun.wait(20)
        until(lambda: worker.translator.totals["good"] == 3 and worker.jobs.size() == 1)
        found = metrics(worker)
        go_on.set()
    ends = found["umbel_tasks_total"]
    assert ends[("name", "good"), ("state", "SUCCESS")] == 3
    assert ends[("name", 'b"a\\d'), ("state", "FAILURE")] == 1
    assert ends[("name", "good"), ("state", "REVOKED")] == 1
    assert ends[("name", "(unknown)"), ("state", "FAILURE")] == 1
    assert found["umbel_tasks_received_total"][(("name", "good"),)] == 4
    assert found["umbel_task_runtime_seconds_count"][(("name", "good"),)] == 3
    assert found["umbel_task_runtime_seconds_bucket"][("le", "+Inf"), ("name", "good")] == 3
    assert found["umbel_task_wait_seconds_count"][(("name", "good"),)] == 3
    assert found["umbel_pool_size"] == {(): 2}
    assert found["umbel_pool_running"] == found["umbel_tasks_outstanding"] == {(): 1}
    assert found["umbel_queue_messages"] == {(("queue", "celery"),): 0}
    assert found["umbel_broker_up"] == found["umbel_worker_ready"] == {(): 1}
    assert found["umbel_broker_reconnects_total"] == {(): 0}
    [labels] = found["umbel_worker_info"]
    assert dict(labels)["node"] == "w@h"


def test_without_an_address_there_is_nothing(umbel_app: Umbel) -> None:
    with Worker(umbel_app, pool="threads", concurrency=1) as worker:
        assert "http" not in [step.step_name() for step in worker.graph.steps]
        assert worker.admission.flags == 0
        assert worker.admission.on_received == []


def test_a_port_in_use_is_told_clearly(umbel_app: Umbel) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        umbel_app.conf.worker_http = f"127.0.0.1:{taken.getsockname()[1]}"
        worker = Worker(umbel_app, pool="threads", concurrency=1)
        with pytest.raises(ImproperlyConfigured, match=r"cannot listen on 127\.0\.0\.1:\d+: .*in use.*another port"):
            worker.start()
        worker.stop()


@pytest.mark.parametrize("text", ["", "8080", "host", "host:", "host:many", "host:70000", "host:-1"])
def test_an_address_is_host_and_port(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="HOST:PORT"):
        parse_address(text)


def test_addresses_are_read() -> None:
    assert parse_address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert parse_address(":0") == ("", 0)
    assert parse_address("[::1]:80") == ("::1", 80)


def test_a_page_that_fails_is_an_error_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Any:
        raise ValueError("deliberate")

    server = NodeServer("127.0.0.1:0", {"/broken": broken})
    server.start()
    try:
        for request in (b"GET /broken HTTP/1.0\r\n\r\n", b"\x00\xff garbage\r\n\r\n", b"GET " + b"/x" * 40_000):
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
                link.sendall(request)
                link.shutdown(socket.SHUT_WR)
                answer = link.makefile("rb").read()
            if b"broken" in request:
                assert b"500" in answer.splitlines()[0]
    finally:
        server.stop()
        server.stop()
    assert "/broken could not be made" in caplog.text


def test_histograms_count_up_to_their_bounds() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 99.0):
        histogram.observe(value)
    out = Exposition()
    out.histograms("h_seconds", 'Text with "quotes",\nand a line.', [({"name": 'a"\\\n'}, histogram)])
    [family] = text_string_to_metric_families(str(out))
    assert {sample.labels.get("le", sample.name): sample.value for sample in family.samples} == {
        "1": 2,
        "2": 3,
        "+Inf": 4,
        "umbel_h_seconds_sum": 102.0,
        "umbel_h_seconds_count": 4,
    }
    assert family.samples[0].labels["name"] == 'a"\\\n'
