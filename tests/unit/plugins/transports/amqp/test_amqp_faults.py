"""What breaks between Umbel and RabbitMQ: each command cut, frozen brokers, alarms, limits; and memory that stays flat."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from umbel import Umbel
from umbel.exceptions import OperationalError, TransportError
from umbel.model import Message, Publication, Queue, Settlement
from umbel.testing.proxy import TcpProxy
from umbel.testing.rabbitmq_servers import TlsRabbitmqServer
from umbel.testing.servers import RabbitmqServer
from umbel.testing.threads import in_thread
from umbel_transport_amqp.settings import AmqpSettings
from umbel_transport_amqp.transport import AmqpTransport


def a_publication(queue: Queue, body: bytes = b"1", **options: Any) -> Publication:
    return Publication(Message(body), queue, "", queue.name, **options)


@pytest.fixture
def transport(rabbitmq_server: RabbitmqServer) -> Iterator[AmqpTransport]:
    transport = AmqpTransport(rabbitmq_server.url, AmqpSettings())
    transport.open(5)
    yield transport
    transport.close()


@pytest.fixture
def queue(transport: AmqpTransport, request: pytest.FixtureRequest) -> Iterator[Queue]:
    queue = Queue(name=f"faults-{request.node.name}"[:100])
    transport.delete(queue.name)
    transport.declare([queue])
    yield queue
    transport.delete(queue.name)


@pytest.fixture
def proxy(rabbitmq_server: RabbitmqServer) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", rabbitmq_server.port) as proxy:
        yield proxy


def through(proxy: TcpProxy, **settings: Any) -> AmqpTransport:
    return AmqpTransport(f"amqp://127.0.0.1:{proxy.port}//", AmqpSettings(**settings))


COMMANDS: dict[str, Callable[[AmqpTransport, Queue], object]] = {
    "declare": lambda transport, _: transport.declare([Queue(name="faults-another")]),
    "publish": lambda transport, queue: transport.publish([a_publication(queue)], 20),
    "publish later": lambda transport, queue: transport.publish([a_publication(queue, deliver_at=time.time() + 1)], 20),
    "count": lambda transport, queue: transport.count([queue.name]),
    "purge": lambda transport, queue: transport.purge(queue.name),
    "delete": lambda transport, _: transport.delete("faults-another"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_connection_that_is_cut_inside_of_a_command(command: str, proxy: TcpProxy, queue: Queue) -> None:
    broken = through(proxy)
    broken.open(5)
    with proxy.holding():
        running = in_thread(COMMANDS[command], broken, queue)
        assert not running.done()
        assert proxy.cut()
        with pytest.raises(OperationalError):
            running.result(10)
    with pytest.raises(OperationalError, match="is lost"):
        broken.count([queue.name])
    broken.close()


def settle_acks(consumer: Any, held: Any) -> None:
    consumer.settle(Settlement(acks=held))


def settle_again(consumer: Any, held: Any) -> None:
    consumer.settle(Settlement(requeues=held))


@pytest.mark.parametrize("settle", [settle_acks, settle_again])
def test_a_connection_that_is_cut_inside_of_a_settlement(
    settle: Callable[[Any, Any], None], proxy: TcpProxy, transport: AmqpTransport, queue: Queue
) -> None:
    broken = through(proxy)
    broken.open(5)
    transport.publish([a_publication(queue, b"%d" % number) for number in range(3)], 5)
    consumer = broken.consume([queue], 0, "w")
    held: list[Any] = []
    while len(held) < 3:
        held += consumer.receive(3 - len(held), 10)

    def settle_and_receive() -> None:
        for _ in range(100):  # what is written last may be lost without a word: the next answer tells
            settle(consumer, held[:1])
            consumer.receive(1, 0.1)

    with proxy.holding():
        running = in_thread(settle_and_receive)
        assert proxy.cut()
        with pytest.raises(OperationalError):
            running.result(15)
    consumer.close()
    broken.close()
    again = transport.consume([queue], 0, "w")
    found: set[bytes] = set()
    deadline = time.monotonic() + 10
    while not {b"1", b"2"} <= found:
        assert time.monotonic() < deadline
        found |= {delivery.message.body for delivery in again.receive(10, 0.5)}
    again.close()


def test_a_broker_that_freezes_in_the_handshake_is_given_up_in_time(proxy: TcpProxy) -> None:
    with proxy.holding():
        started = time.monotonic()
        with pytest.raises(OperationalError):
            through(proxy).open(0.5)
        assert time.monotonic() - started < 3


def test_a_broker_that_freezes_in_the_handshake_of_tls(own_rabbitmq: TlsRabbitmqServer) -> None:
    with TcpProxy("127.0.0.1", own_rabbitmq.tls_port) as proxy, proxy.holding():
        transport = AmqpTransport(f"amqps://127.0.0.1:{proxy.port}//", AmqpSettings())
        started = time.monotonic()
        with pytest.raises(OperationalError):
            transport.open(0.5)
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("confirms", ["each", "window"])
def test_a_call_ends_within_its_deadline_whatever_the_broker_does(
    confirms: str, rabbitmq_server: RabbitmqServer, proxy: TcpProxy
) -> None:
    app = Umbel("faults", broker=f"amqp://127.0.0.1:{proxy.port}//", set_as_current=False)
    app.conf.update({"amqp": {"publisher_confirms": confirms, "confirm_window": 3, "confirm_flush_s": 0.1}})

    @app.task(ignore_result=True)
    def noop() -> None: ...

    def call_until_it_fails() -> None:
        for _ in range(10):
            started = time.monotonic()
            try:
                noop.apply_async(timeout=0.7)
            finally:
                assert time.monotonic() - started < 3

    noop.delay()
    with proxy.holding(), pytest.raises(OperationalError, match="could not publish task"):  # in the midst of publishing
        call_until_it_fails()
    noop.apply_async(timeout=10)
    proxy.cut()
    with proxy.holding(), pytest.raises(OperationalError, match="could not publish task"):  # while connecting
        call_until_it_fails()
    noop.apply_async(timeout=10)
    app.close()
    looking = AmqpTransport(rabbitmq_server.url, AmqpSettings())
    looking.open(5)
    looking.purge("celery")
    looking.close()


def test_a_requeue_that_cannot_be_published_goes_back_as_it_is(
    transport: AmqpTransport, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    transport.publish([a_publication(queue)], 5)
    consumer: Any = transport.consume([queue], 0, "w")
    held = consumer.receive(1, 5)

    def refuse() -> Any:
        raise OperationalError("no second connection")

    consumer._open_publisher = refuse
    consumer.settle(Settlement(requeues=held, requeue_at=time.time() + 60))
    [again] = consumer.receive(1, 5)
    assert again.redelivered
    assert "go back to RabbitMQ at once" in caplog.text
    consumer.settle(Settlement(acks=[again]))
    consumer.close()


# -- RabbitMQ's limits ------------------------------------------------------------------------------------------------


def test_a_message_above_the_brokers_limit_is_told_of(own_rabbitmq: TlsRabbitmqServer) -> None:
    transport = AmqpTransport(own_rabbitmq.url, AmqpSettings())
    transport.open(10)
    queue = Queue(name="faults-large")
    with pytest.raises(TransportError, match="larger than configured max size") as caught:
        transport.publish([a_publication(queue, b"x" * 1_000_001)], 10)
    assert not isinstance(caught.value, OperationalError)  # another try would not help
    transport.close()


def test_headers_above_a_frame_are_told_of(transport: AmqpTransport, queue: Queue) -> None:
    message = Message(b"", {"argsrepr": "x" * 200_000})
    with pytest.raises(TransportError, match="headers and properties of at most"):
        transport.publish([Publication(message, queue, "", queue.name)], 5)
    transport.publish([a_publication(queue)], 5)
    assert transport.count([queue.name]) == [1]


def test_a_quorum_queue_holds_nothing_against_what_was_never_started(transport: AmqpTransport) -> None:
    # RabbitMQ 4 drops a message after 20 returns, and a restart of a worker returns all that was pushed to it.
    quorum = Queue(name="faults-quorum", queue_arguments={"x-queue-type": "quorum"})
    transport.delete(quorum.name)
    transport.declare([quorum])
    transport.publish([a_publication(quorum, b"%d" % number) for number in range(10)], 20)
    for _ in range(4):
        consumer = transport.consume([quorum], 0, "w")
        held = consumer.receive(2, 10)
        consumer.settle(Settlement(requeues=held[:1], uncounted=True))
        consumer.close()
    consumer = transport.consume([quorum], 0, "w")
    counts: dict[bytes, int] = {}
    deadline = time.monotonic() + 20
    while len(counts) < 10:
        assert time.monotonic() < deadline
        counts |= {delivery.message.body: delivery.delivery_count for delivery in consumer.receive(10, 1)}
    # What the broker sends while the consumer ends may still be counted, but not each time.
    assert max(counts.values()) <= 2
    assert sum(counts.values()) < 20
    consumer.close()
    transport.delete(quorum.name)


# -- memory -----------------------------------------------------------------------------------------------------------


def test_nothing_is_kept_of_what_has_gone_through(transport: AmqpTransport, queue: Queue) -> None:
    consumer: Any = transport.consume([queue], 0, "w")
    publisher: Any = transport._publisher
    for turn in range(30):
        expires = time.time() + 60 if turn % 2 else None
        transport.publish([a_publication(queue, expires_at=expires)] * 20, 5)
        if turn % 5 == 4:
            with contextlib.suppress(TransportError):
                transport.publish([Publication(Message(b""), queue, queue.name, f"nowhere {turn}")], 5)
        held: list[Any] = []
        while len(held) < 20:
            held += consumer.receive(20 - len(held), 10)
        consumer.settle(Settlement(acks=held[:10], rejects=held[10:15], requeues=held[15:], uncounted=True))
        back: list[Any] = []
        while len(back) < 5:
            back += consumer.receive(5 - len(back), 10)
        consumer.settle(Settlement(acks=back))
    inbox = consumer._inbox
    assert (len(inbox.unsettled), len(inbox.arrived), inbox.buffered, inbox._expires) == (0, 0, 0, {})
    assert (inbox._pieces, inbox.cancelled) == ([], [])
    assert len(consumer._subscriptions) == 1
    assert consumer._window._carried == 0
    assert (publisher.unconfirmed, publisher.refused, publisher.homeless, publisher._returned) == ({}, [], [], set())
    assert len(publisher._methods) <= 10
    consumer.close()
