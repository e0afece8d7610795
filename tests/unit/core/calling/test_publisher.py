"""Publishing: pooled transports, deadlines, retries, forks."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest

from umbel import Umbel
from umbel.calling.retrying import PublishPolicy
from umbel.calling.transports import TransportPool
from umbel.exceptions import OperationalError


class Opened(list[Any]):
    """The transports that an application has opened; they fail with *failures*, one after the other."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []


@pytest.fixture
def nowhere(umbel_app: Umbel, transport_to_nowhere: Any, monkeypatch: pytest.MonkeyPatch) -> Opened:
    opened = Opened()

    def open_transport(timeout_s: float, urls: Any = ()) -> Any:
        opened.append(transport_to_nowhere(opened.failures))
        return opened[-1]

    monkeypatch.setattr(umbel_app.connections, "open_transport", open_transport)
    return opened


def make_noop(app: Umbel) -> Any:
    @app.task(name="noop")
    def noop() -> None:
        return None

    return noop


def test_one_transport_serves_many_calls_and_declares_once(umbel_app: Umbel, nowhere: Opened) -> None:
    """[B1090] [B1092]"""
    noop = make_noop(umbel_app)
    for _ in range(5):
        noop.delay()
    (transport,) = nowhere
    assert transport.declared == ["celery"]
    assert len(transport.published) == 5


def test_a_lost_connection_is_replaced_and_the_call_tried_again(umbel_app: Umbel, nowhere: Opened) -> None:
    """[A554] [A559]"""
    nowhere.failures.append(OperationalError("gone"))
    make_noop(umbel_app).delay()
    first, second = nowhere
    assert first.closed
    assert len(second.published) == 1
    assert second.declared == ["celery"], "a broker that was gone may have forgotten its queues"


def test_without_retry_the_first_failure_is_final(umbel_app: Umbel, nowhere: Opened) -> None:
    nowhere.failures.append(OperationalError("gone"))
    with pytest.raises(OperationalError, match=r"could not publish task noop to memory://.* \(1 attempts\): gone"):
        make_noop(umbel_app).apply_async(retry=False)
    assert len(nowhere) == 1


def test_the_policy_of_the_call_bounds_the_retries(umbel_app: Umbel, nowhere: Opened) -> None:
    """[A556]"""
    nowhere.failures.extend([OperationalError("gone")] * 5)
    with pytest.raises(OperationalError, match="attempts"):
        make_noop(umbel_app).apply_async(retry_policy={"max_retries": 1, "interval_start": 0, "interval_max": 0})
    with pytest.raises(ValueError, match="unknown key 'max_retry'; did you mean 'max_retries'"):
        umbel_app.tasks["noop"].apply_async(retry_policy={"max_retry": 1})


def test_the_deadline_ends_what_the_policy_would_go_on_with(
    umbel_app: Umbel, transport_to_nowhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every blocking call has a deadline: ``delay()`` with the broker down never hangs."""

    def refuse(timeout_s: float, urls: Any = ()) -> Any:
        raise OperationalError("connection refused")

    monkeypatch.setattr(umbel_app.connections, "open_transport", refuse)
    began = time.monotonic()
    with pytest.raises(OperationalError, match=r"within 0\.2 s .* connection refused"):
        make_noop(umbel_app).apply_async(timeout=0.2, retry_policy={"max_retries": None, "interval_start": 0.01})
    assert time.monotonic() - began < 2


def test_an_error_of_the_payload_keeps_the_connection(umbel_app: Umbel, nowhere: Opened) -> None:
    nowhere.failures.append(TypeError("headers must be text"))
    noop = make_noop(umbel_app)
    with pytest.raises(TypeError, match="headers must be text"):
        noop.delay()
    noop.delay()
    assert len(nowhere) == 1


def test_passwords_are_masked_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """[2.1 broker_url]: URLs never show their password."""
    app = Umbel("t", broker="memory://user:hunter2@nowhere", set_as_current=False)

    def refuse(timeout_s: float, urls: Any = ()) -> Any:
        raise OperationalError("refused")

    monkeypatch.setattr(app.connections, "open_transport", refuse)
    with pytest.raises(OperationalError) as caught:
        make_noop(app).apply_async(retry=False)
    assert "hunter2" not in str(caught.value)
    assert "user" in str(caught.value)


def test_a_given_connection_is_used_and_left_open(umbel_app: Umbel, transport_to_nowhere: Any) -> None:
    """[B471] [B480] [A235]"""
    transport = transport_to_nowhere()
    make_noop(umbel_app).apply_async(connection=transport)
    assert len(transport.published) == 1
    assert not transport.closed


def test_the_pool_lends_up_to_its_limit_and_waits_for_one_to_come_back(transport_to_nowhere: Any) -> None:
    pool = TransportPool(lambda _: transport_to_nowhere(), 1)
    lent = pool.acquire(time.monotonic() + 5)
    with pytest.raises(OperationalError, match="every pooled broker connection was in use"):
        pool.acquire(time.monotonic() + 0.05)
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(pool.acquire(time.monotonic() + 10)))
    waiting.start()
    pool.release(lent)
    waiting.join(10)
    assert got == [lent]


def test_a_discarded_transport_makes_room_for_another(transport_to_nowhere: Any) -> None:
    pool = TransportPool(lambda _: transport_to_nowhere(), 1)
    pool.discard(pool.acquire(time.monotonic() + 1))
    pool.release(pool.acquire(time.monotonic() + 1))
    pool.close()
    assert pool.acquire(time.monotonic() + 1)


def test_a_failed_opening_makes_room_for_another(transport_to_nowhere: Any) -> None:
    answers: list[Any] = [OperationalError("refused"), transport_to_nowhere()]

    def open_transport(_: float) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    pool = TransportPool(open_transport, 1)
    with pytest.raises(OperationalError):
        pool.acquire(time.monotonic() + 1)
    assert pool.acquire(time.monotonic() + 1)


def test_a_limit_of_none_opens_for_each_use(transport_to_nowhere: Any) -> None:
    """[A538]"""
    opened: list[Any] = []

    def open_transport(_: float) -> Any:
        opened.append(transport_to_nowhere())
        return opened[-1]

    pool = TransportPool(open_transport, None)
    for _ in range(2):
        pool.release(pool.acquire(time.monotonic() + 1))
    assert [transport.closed for transport in opened] == [True, True]


def test_many_threads_share_the_pool(transport_to_nowhere: Any) -> None:
    """A stress of lending: never more than the limit are open, and everyone gets one."""
    lock, using, most, opened = threading.Lock(), [0], [0], [0]

    def open_transport(_: float) -> Any:
        with lock:
            opened[0] += 1
        return transport_to_nowhere()

    pool = TransportPool(open_transport, 3)

    def use() -> None:
        for _ in range(300):
            transport = pool.acquire(time.monotonic() + 20)
            with lock:
                using[0] += 1
                most[0] = max(most[0], using[0])
            with lock:
                using[0] -= 1
            pool.release(transport)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert most[0] <= 3
    assert opened[0] <= 3


def test_a_forked_child_opens_its_own(umbel_app: Umbel, nowhere: Opened) -> None:
    noop = make_noop(umbel_app)
    noop.delay()
    oid = umbel_app.oid
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        noop.delay()
        own = len(nowhere) == 2 and not nowhere[0].closed and umbel_app.oid != oid
        os.write(writer, b"1" if own else b"0")
        os._exit(0)
    os.waitpid(child, 0)
    answer = os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    assert answer == b"1"


def test_the_pauses_of_a_policy() -> None:
    """[A557] [A558] [A559]"""
    policy = PublishPolicy.from_mapping(
        {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.3}
    )
    assert [policy.pause_s(retries) for retries in range(4)] == [0, 0.2, 0.3, None]
    assert PublishPolicy.from_mapping({"max_retries": 0}).pause_s(10_000) == 0.2
