"""Publishing without waiting for each confirmation: nothing is lost while the process lives, and calls stay bounded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from umbel import Umbel
from umbel.exceptions import OperationalError
from umbel.model import Message, Publication, Queue
from umbel.testing.proxy import TcpProxy
from umbel.testing.rabbitmq_servers import TlsRabbitmqServer
from umbel.testing.servers import RabbitmqServer
from umbel_transport_amqp.outbox import Outbox
from umbel_transport_amqp.settings import AmqpSettings
from umbel_transport_amqp.transport import AmqpTransport

SOON_S = 20.0


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline


@pytest.fixture
def direct(rabbitmq_server: RabbitmqServer) -> Iterator[AmqpTransport]:
    """A connection past the proxy, to look with."""
    transport = AmqpTransport(rabbitmq_server.url, AmqpSettings())
    transport.open(5)
    yield transport
    transport.close()


@pytest.fixture
def proxy(rabbitmq_server: RabbitmqServer) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", rabbitmq_server.port) as proxy:
        yield proxy


@pytest.fixture
def queue(direct: AmqpTransport, request: pytest.FixtureRequest) -> Iterator[Queue]:
    queue = Queue(name=f"outbox-{request.node.name}"[:100])
    direct.delete(queue.name)
    direct.declare([queue])
    yield queue
    direct.delete(queue.name)


def outbox_through(proxy: TcpProxy, **settings: Any) -> Outbox:
    return Outbox(f"amqp://127.0.0.1:{proxy.port}//", AmqpSettings(publisher_confirms="window", **settings))


def some(queue: Queue, count: int = 1, first: int = 0) -> list[Publication]:
    return [Publication(Message(b"%d" % number), queue, "", queue.name) for number in range(first, first + count)]


def bodies_in(direct: AmqpTransport, queue: Queue) -> list[int]:
    """Empty the queue."""
    consumer = direct.consume([queue], 0, "w")
    found: list[int] = []
    while got := consumer.receive(1000, 0.3):
        found += [int(delivery.message.body) for delivery in got]
    consumer.close()
    return found


def test_a_call_does_not_wait_and_the_confirmation_is_collected(
    proxy: TcpProxy, direct: AmqpTransport, queue: Queue
) -> None:
    outbox = outbox_through(proxy)
    outbox.send(some(queue), 5)
    with proxy.holding():
        outbox.send(some(queue, 10), 5)
        assert outbox._count() >= 10
    eventually(lambda: outbox._count() == 0)  # by the keeper: nobody calls
    assert direct.count([queue.name]) == [11]
    assert outbox.flush(5) == 0
    assert outbox._line is None  # nobody uses it, so it has hung up


def test_a_full_window_makes_a_call_wait_and_fail_in_time(proxy: TcpProxy, direct: AmqpTransport, queue: Queue) -> None:
    outbox = outbox_through(proxy, confirm_window=5)
    outbox.send(some(queue), 5)
    outbox.flush(5)
    outbox.attach()
    outbox.send(some(queue, first=1), 5)
    eventually(lambda: outbox._count() == 0)
    with proxy.holding():
        outbox.send(some(queue, 5, first=2), 5)
        started = time.monotonic()
        with pytest.raises(OperationalError, match="no more than 5 may be unconfirmed"):
            outbox.send(some(queue, first=99), 0.5)
        assert time.monotonic() - started < 3
    assert outbox.flush(10) == 0
    # What was in the window is there; what was refused is nowhere.
    assert sorted(bodies_in(direct, queue)) == list(range(7))
    outbox.detach()


def test_a_batch_larger_than_the_window_goes_alone(proxy: TcpProxy, direct: AmqpTransport, queue: Queue) -> None:
    outbox = outbox_through(proxy, confirm_window=5)
    outbox.send(some(queue, 2), 5)
    outbox.send(some(queue, 50, first=2), 5)
    assert outbox.flush(10) == 0
    assert bodies_in(direct, queue) == list(range(52))


def test_what_was_unconfirmed_is_sent_again_on_a_new_connection(
    proxy: TcpProxy, direct: AmqpTransport, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = outbox_through(proxy)
    outbox.send(some(queue), 5)
    with proxy.holding():
        outbox.send(some(queue, 20, first=1), 5)
        assert proxy.cut()
    eventually(lambda: outbox._count() == 0)  # without another call
    assert set(bodies_in(direct, queue)) == set(range(21))
    assert "sent again" in caplog.text


def test_calls_go_on_over_a_new_connection(proxy: TcpProxy, direct: AmqpTransport, queue: Queue) -> None:
    outbox = outbox_through(proxy)
    for number in range(60):
        if number % 20 == 10:
            proxy.cut()
        outbox.send(some(queue, first=number), 10)
    assert outbox.flush(10) == 0
    assert set(bodies_in(direct, queue)) == set(range(60))


def test_what_a_full_queue_refuses_comes_when_it_has_room(proxy: TcpProxy, direct: AmqpTransport) -> None:
    full = Queue(name="outbox-full", max_length=2, queue_arguments={"x-overflow": "reject-publish"})
    direct.delete(full.name)
    outbox = outbox_through(proxy, confirm_window=10)
    for number in range(5):
        outbox.send(some(full, first=number), 5)
    found: set[int] = set()
    deadline = time.monotonic() + SOON_S
    while found != set(range(5)):
        assert time.monotonic() < deadline
        found |= set(bodies_in(direct, full))
    assert outbox.flush(10) == 0
    direct.delete(full.name)


def test_what_can_never_be_taken_is_told_of_and_holds_up_nothing(
    proxy: TcpProxy, direct: AmqpTransport, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = outbox_through(proxy)
    nowhere = Publication(Message(b"1", {"task": "tasks.lost"}), None, "no-such-exchange", "k")
    outbox.send([*some(queue, 3), nowhere, *some(queue, 3, first=3)], 5)
    eventually(lambda: outbox._count() == 0)
    assert set(bodies_in(direct, queue)) == set(range(6))
    assert "tasks.lost was refused by RabbitMQ and is lost" in caplog.text


def test_a_queue_that_was_deleted_meanwhile_is_made_anew(proxy: TcpProxy, direct: AmqpTransport, queue: Queue) -> None:
    outbox = outbox_through(proxy)
    outbox.attach()
    outbox.send(some(queue), 5)
    assert outbox.flush(5) == 0
    direct.delete(queue.name)
    outbox.send(some(queue, 3, first=1), 5)
    assert outbox.flush(10) == 0
    assert bodies_in(direct, queue) == [1, 2, 3]
    outbox.detach()


def test_what_is_uncertain_at_the_end_is_told_of(
    proxy: TcpProxy, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = outbox_through(proxy, confirm_flush_s=0.3)
    outbox.send(some(queue), 5)
    with proxy.holding():
        outbox.send(some(queue, 4), 5)
        outbox.flush_at_exit()
    assert "messages were not confirmed by RabbitMQ before this process ended" in caplog.text
    assert outbox.flush(10) == 0


def test_a_child_leaves_what_its_parent_has_under_way(proxy: TcpProxy, direct: AmqpTransport, queue: Queue) -> None:
    outbox = outbox_through(proxy)
    outbox.send(some(queue), 5)
    with proxy.holding():
        outbox.send(some(queue, 10, first=1), 5)
        child = os.fork()
        if not child:
            outbox.flush_at_exit()  # as its own end would
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert outbox._count() >= 10
    assert outbox.flush(10) == 0
    assert bodies_in(direct, queue) == list(range(11))


PROGRAM = """
import sys, logging
from umbel import Umbel
logging.basicConfig()
app = Umbel("windowed", broker=sys.argv[1])
app.conf.task_default_queue = sys.argv[2]
@app.task(ignore_result=True)
def noop(): ...
for _ in range(300):
    noop.delay()
"""


def test_the_end_of_a_program_waits_for_its_confirmations(
    rabbitmq_server: RabbitmqServer, direct: AmqpTransport, queue: Queue
) -> None:
    environment = {**os.environ, "UMBEL_AMQP__PUBLISHER_CONFIRMS": "window"}
    command = [sys.executable, "-c", PROGRAM, rabbitmq_server.url, queue.name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert direct.count([queue.name]) == [300]


def windowed_app(url: str) -> Umbel:
    app = Umbel("windowed", broker=url, set_as_current=False)
    app.conf.update({"amqp": {"publisher_confirms": "window"}})
    return app


def test_calls_share_one_outbox_and_a_task_has_none(rabbitmq_server: RabbitmqServer) -> None:
    app = windowed_app(rabbitmq_server.url)
    sent_inside: list[Any] = []

    @app.task(ignore_result=True)
    def outer() -> None:
        sent_inside.append(app.connections._open_pooled(5.0))

    first, second = app.connections._open_pooled(5.0), app.connections._open_pooled(5.0)
    outer()  # a direct call pushes the frame of a running task too
    assert first._outbox is second._outbox is not None  # type: ignore[attr-defined]
    assert sent_inside[0]._outbox is None
    worker_own = app.open_transport(5.0)
    assert worker_own._outbox is None  # type: ignore[attr-defined]
    for transport in (first, second, worker_own, *sent_inside):
        transport.close()
    app.close()


@pytest.mark.slow
def test_a_broker_that_is_killed_and_comes_back_has_everything(own_rabbitmq: TlsRabbitmqServer) -> None:
    queue = Queue(name="outbox-killed")
    outbox = Outbox(own_rabbitmq.url, AmqpSettings(publisher_confirms="window"))
    outbox.send(some(queue), 10)
    sent = 1
    own_rabbitmq.freeze()
    while sent < 200:
        outbox.send(some(queue, first=sent), 10)
        sent += 1
    own_rabbitmq.kill()
    own_rabbitmq.start()
    assert outbox.flush(30) == 0
    looking = AmqpTransport(own_rabbitmq.url, AmqpSettings())
    looking.open(10)
    assert set(bodies_in(looking, queue)) == set(range(sent))
    looking.close()


def test_confirmations_of_a_window_are_off_without_confirmations(rabbitmq_server: RabbitmqServer) -> None:
    settings = AmqpSettings(publisher_confirms="window", confirm_publish=False)
    transport = AmqpTransport(rabbitmq_server.url, settings, lambda: pytest.fail("no outbox is wanted"))
    transport.allow_unconfirmed()
    transport.open(5)
    transport.close()
