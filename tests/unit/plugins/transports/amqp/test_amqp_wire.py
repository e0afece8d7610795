"""What Umbel and Celery's messaging library do on one RabbitMQ, and what only this transport promises."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import amqp
import kombu.connection
import kombu.entity
import pytest

from umbel.exceptions import OperationalError, TransportError
from umbel.model import Exchange, Message, Publication, Queue, Settlement
from umbel.testing.servers import RabbitmqServer, free_port
from umbel_transport_amqp.publishing import DELIVERIES
from umbel_transport_amqp.settings import AmqpSettings
from umbel_transport_amqp.transport import AmqpTransport

HEADERS = {
    "lang": "py",
    "task": "tasks.add",
    "id": "11111111-2222-3333-4444-555555555555",
    "retries": 0,
    "eta": None,
    "timelimit": [None, 20.5],
    "ignore_result": False,
    "stamps": {},
}
BODY = b'[[2, 3], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'


def a_publication(queue: Queue, **options: Any) -> Publication:
    properties = {"correlation_id": HEADERS["id"], "reply_to": "me", "delivery_mode": 2}
    message = options.pop("message", None) or Message(BODY, dict(HEADERS), properties)
    return Publication(message, queue, options.pop("exchange", ""), options.pop("routing_key", queue.name), **options)


@pytest.fixture
def url(rabbitmq_server: RabbitmqServer) -> str:
    return rabbitmq_server.url


@pytest.fixture
def raw(url: str) -> Iterator[amqp.Channel]:
    """A channel of py-amqp's own."""
    with amqp.Connection(f"127.0.0.1:{urlsplit(url).port}") as connection:
        yield connection.channel()


@pytest.fixture
def transport(url: str) -> Iterator[AmqpTransport]:
    transport = AmqpTransport(url, AmqpSettings())
    transport.open(5)
    yield transport
    transport.close()


@pytest.fixture
def queue(transport: AmqpTransport, request: pytest.FixtureRequest) -> Iterator[Queue]:
    queue = Queue(name=f"q-{request.node.name}"[:100])
    transport.declare([queue])
    yield queue
    if transport._wire is not None and transport._wire.is_usable:
        transport.delete(queue.name)


def test_kombu_reads_what_umbel_sends(url: str, transport: AmqpTransport, queue: Queue) -> None:
    transport.publish([a_publication(queue, priority=4, expires_at=time.time() + 60)], 5)
    with kombu.connection.Connection(url) as connection, connection.SimpleQueue(queue.name) as simple:
        message = simple.get(timeout=5)
        message.ack()
    assert message.headers == HEADERS
    assert message.payload == json.loads(BODY)
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert 59_000 <= int(message.properties.pop("expiration")) <= 60_000
    wanted = {"correlation_id": HEADERS["id"], "reply_to": "me", "delivery_mode": 2, "priority": 4}
    assert {name: message.properties[name] for name in wanted} == wanted


def test_umbel_reads_what_kombu_sends(url: str, transport: AmqpTransport, queue: Queue) -> None:
    with kombu.connection.Connection(url) as connection:
        connection.Producer().publish(
            json.loads(BODY), routing_key=queue.name, headers=HEADERS, serializer="json", correlation_id="c", priority=2
        )
    consumer = transport.consume([queue], 0, "w1@here")
    [delivery] = consumer.receive(10, 5)
    assert delivery.message.headers == HEADERS
    assert json.loads(delivery.message.body) == json.loads(BODY)
    assert delivery.message.properties["correlation_id"] == "c"
    assert (delivery.queue, delivery.exchange, delivery.routing_key) == (queue.name, "", queue.name)
    assert (delivery.delivery_count, delivery.priority, delivery.error) == (1, 2, None)
    consumer.settle(Settlement(acks=[delivery]))
    consumer.close()


def test_the_topology_is_that_of_kombu(url: str, transport: AmqpTransport, queue: Queue) -> None:
    # A declaration with other arguments would be refused.
    media = Queue(name="media", exchange=Exchange(name="media-x", kind="topic"), routing_key="video.#", max_priority=9)
    transport.declare([media])
    with kombu.connection.Connection(url) as connection:
        channel: Any = connection.channel()
        kombu.entity.Queue(queue.name, kombu.entity.Exchange(queue.name, type="direct"), routing_key=queue.name)(
            channel
        ).declare()
        topic = kombu.entity.Exchange("media-x", type="topic")
        kombu.entity.Queue("media", topic, routing_key="video.#", max_priority=9)(channel).declare()
        connection.Producer().publish({}, exchange=topic, routing_key="video.ogg")
    assert transport.purge("media") == 1


def test_a_queue_that_is_there_with_other_arguments_is_told_of(transport: AmqpTransport, queue: Queue) -> None:
    with pytest.raises(TransportError, match=r"PRECONDITION_FAILED.*x-max-priority") as caught:
        transport.declare([Queue(name=queue.name, max_priority=5)])
    assert not isinstance(caught.value, OperationalError)
    assert transport.count([queue.name]) == [0]  # the connection is none the worse for it


def test_quorum_queues_count_by_themselves(transport: AmqpTransport) -> None:
    quorum = Queue(name="quorum", queue_arguments={"x-queue-type": "quorum"})
    transport.declare([quorum])
    transport.publish([a_publication(quorum)], 10)
    counts = []
    for _ in range(3):
        consumer = transport.consume([quorum], 0, "w")
        counts += [delivery.delivery_count for delivery in consumer.receive(1, 10)]
        lost: Any = consumer
        lost._wire.drop()  # as when the worker is killed: closing in good order is not counted
        consumer.close()
    assert counts == [1, 2, 3]
    transport.delete("quorum")


def test_requeues_are_counted_in_a_header(transport: AmqpTransport, queue: Queue) -> None:
    transport.publish([a_publication(queue)], 5)
    consumer = transport.consume([queue], 0, "w")
    for count in (1, 2, 3):
        [delivery] = consumer.receive(1, 5)
        assert delivery.delivery_count == count
        consumer.settle(Settlement(requeues=[delivery]))
    [delivery] = consumer.receive(1, 5)
    assert delivery.message.headers[DELIVERIES] == 3
    consumer.settle(Settlement(requeues=[delivery], requeue_at=time.time() + 0.1, uncounted=True))
    [delivery] = consumer.receive(1, 10)
    assert delivery.delivery_count == 4
    consumer.settle(Settlement(acks=[delivery]))
    consumer.close()


def test_a_rejected_message_goes_to_the_dead_letter_exchange(transport: AmqpTransport) -> None:
    grave = Queue(name="grave", exchange=Exchange(name="grave-x", kind="fanout"), routing_key="")
    mortal = Queue(name="mortal", queue_arguments={"x-dead-letter-exchange": "grave-x"})
    transport.declare([grave, mortal])
    transport.publish([a_publication(mortal)], 5)
    consumer = transport.consume([mortal, grave], 0, "w")
    [delivery] = consumer.receive(1, 5)
    consumer.settle(Settlement(rejects=[delivery]))
    [buried] = consumer.receive(1, 5)
    assert (buried.queue, buried.message.headers["x-death"][0]["reason"]) == ("grave", "rejected")
    consumer.settle(Settlement(acks=[buried]))
    consumer.close()


def test_out_of_order_acknowledgements_leave_the_rest_held(transport: AmqpTransport, queue: Queue) -> None:
    transport.publish([a_publication(queue, message=Message(b"%d" % number)) for number in range(10)], 5)
    consumer = transport.consume([queue], 0, "w")
    held = list(consumer.receive(10, 5))
    consumer.settle(Settlement(acks=[held[number] for number in (9, 0, 1, 4)]))
    consumer.close()
    again = transport.consume([queue], 0, "w")
    got: list[int] = []
    while len(got) < 6:
        got += [int(delivery.message.body) for delivery in again.receive(10, 5)]
    assert got == [2, 3, 5, 6, 7, 8]
    again.close()
    transport.purge(queue.name)


# -- delays -----------------------------------------------------------------------------------------------------------


def test_the_ladder_is_kombus_own(url: str, transport: AmqpTransport, queue: Queue, raw: amqp.Channel) -> None:
    transport.publish([a_publication(queue, deliver_at=time.time() + 3600)], 20)
    from kombu.transport.native_delayed_delivery import declare_native_delayed_delivery_exchanges_and_queues

    with kombu.connection.Connection(url) as connection:
        declare_native_delayed_delivery_exchanges_and_queues(connection, "quorum")
    # 3600 s and a fraction: it lies in one of the nine queues for tenths, or on the step for 2048 s.
    waiting = [f"umbel_delayed_tenths_{tenth}" for tenth in range(1, 10)] + ["celery_delayed_11"]
    deadline = time.monotonic() + 10
    while not sum(declared.message_count for name in waiting if (declared := raw.queue_declare(name, passive=True))):
        assert time.monotonic() < deadline
    deadline = time.monotonic() + 10
    while raw.queue_purge("celery_delayed_11") == 0:
        assert time.monotonic() < deadline


def test_what_comes_down_the_ladder_looks_as_it_was_sent(transport: AmqpTransport, queue: Queue) -> None:
    consumer = transport.consume([queue], 0, "w")
    due = time.time() + 1.2
    message = Message(BODY, {**HEADERS, "x-death": [{"queue": "umbel_delayed_tenths_2"}], "x-delivery-count": 7})
    transport.publish([a_publication(queue, deliver_at=due, expires_at=due + 0.1, message=message)], 20)
    [delivery] = consumer.receive(1, 10)
    assert due <= time.time() < due + 1
    assert delivery.message.headers == HEADERS
    assert (delivery.exchange, delivery.routing_key, delivery.delivery_count) == ("", queue.name, 1)
    consumer.settle(Settlement(acks=[delivery]))
    consumer.close()


def test_a_delay_for_one_queue_does_not_reach_another_of_similar_name(transport: AmqpTransport) -> None:
    short, long = Queue(name="video"), Queue(name="media.video")
    transport.declare([short, long])
    now = time.time()
    transport.publish([a_publication(short, deliver_at=now + 60), a_publication(long, deliver_at=now + 0.2)], 20)
    consumer = transport.consume([short, long], 0, "w")
    assert [delivery.queue for delivery in consumer.receive(5, 10)] == ["media.video"]
    assert not consumer.receive(5, 0.3)
    consumer.close()
    for queue in (short, long):
        transport.delete(queue.name)


def test_a_message_may_be_delayed_many_times(transport: AmqpTransport, queue: Queue) -> None:
    # RabbitMQ drops a message that comes to one queue twice without having been rejected, by what x-death says.
    transport.publish([a_publication(queue)], 5)
    consumer = transport.consume([queue], 0, "w")
    for _ in range(4):
        [delivery] = consumer.receive(1, 10)
        consumer.settle(Settlement(requeues=[delivery], requeue_at=time.time() + 0.15))
    assert len(consumer.receive(1, 10)) == 1
    consumer.close()
    transport.purge(queue.name)


# -- publishing -------------------------------------------------------------------------------------------------------


def test_a_queue_that_was_deleted_behind_the_publishers_back_is_made_anew(
    transport: AmqpTransport, queue: Queue, raw: amqp.Channel
) -> None:
    transport.publish([a_publication(queue)], 5)
    raw.queue_delete(queue.name)
    transport.publish([a_publication(queue), a_publication(queue)], 5)
    assert transport.count([queue.name]) == [2]


def test_what_no_binding_matches_is_told_of(transport: AmqpTransport, queue: Queue) -> None:
    with pytest.raises(TransportError, match=r"no queue for exchange .*, routing key 'elsewhere'"):
        transport.publish([a_publication(queue, exchange=queue.exchange.name, routing_key="elsewhere")], 5)


def test_a_broadcast_that_nobody_hears_is_no_error(transport: AmqpTransport) -> None:
    listener = Queue(name="listener", exchange=Exchange(name="silent-x", kind="fanout"), routing_key="")
    transport.declare([listener])
    transport.delete("listener")
    transport.publish([Publication(Message(b"1"), None, "silent-x", "")], 5)


def test_an_unknown_exchange_is_told_of(transport: AmqpTransport) -> None:
    with pytest.raises(TransportError, match="no exchange 'nowhere'"):
        transport.publish([Publication(Message(b"1"), None, "nowhere", "k")], 5)


def test_a_full_queue_refuses(transport: AmqpTransport) -> None:
    full = Queue(name="full", max_length=2, queue_arguments={"x-overflow": "reject-publish"})
    transport.declare([full])
    with pytest.raises(OperationalError, match="refused 3 messages"):
        transport.publish([a_publication(full)] * 5, 5)
    transport.publish([a_publication(Queue(name="full-not"))], 5)
    for name in ("full", "full-not"):
        transport.delete(name)


def test_without_confirmations_publishing_does_not_wait(url: str, transport: AmqpTransport, queue: Queue) -> None:
    hasty = AmqpTransport(url, AmqpSettings(confirm_publish=False))
    hasty.open(5)
    hasty.publish([a_publication(queue)] * 100, 5)
    hasty.close()
    deadline = time.monotonic() + 5
    while transport.count([queue.name]) != [100]:
        assert time.monotonic() < deadline


def rabbitmqctl(server: RabbitmqServer, *arguments: str) -> None:
    environment = {"PATH": "/usr/lib/rabbitmq/bin:/usr/bin:/bin:/usr/sbin:/sbin", **server.environment()}
    command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "-n", environment["RABBITMQ_NODENAME"], *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=50)


def publish_until(transport: AmqpTransport, queue: Queue, end: float) -> None:
    while time.monotonic() < end:
        transport.publish([a_publication(queue)], 1.0)


@pytest.mark.slow
def test_a_blocked_broker_is_given_up_in_time(
    rabbitmq_server: RabbitmqServer, transport: AmqpTransport, queue: Queue
) -> None:
    consumer = transport.consume([queue], 0, "w")
    transport.publish([a_publication(queue)], 5)
    rabbitmqctl(rabbitmq_server, "set_vm_memory_high_watermark", "0.000001")
    try:
        started = time.monotonic()
        blocked = pytest.raises(OperationalError, match="blocked by an alarm")
        with blocked:  # the alarm may take a moment to go around
            publish_until(transport, queue, started + 20)
        with pytest.raises(OperationalError, match="is lost"):
            transport.publish([a_publication(queue)], 1.0)
        # Consuming goes on, since it is another connection.
        [delivery, *_] = consumer.receive(1, 5)
        consumer.settle(Settlement(acks=[delivery]))
        consumer.close()
    finally:
        rabbitmqctl(rabbitmq_server, "set_vm_memory_high_watermark", "0.4")
    again = AmqpTransport(rabbitmq_server.url, AmqpSettings())
    again.open(5)
    again.publish([a_publication(queue)], 10)
    again.delete(queue.name)
    again.close()


# -- connecting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [None, "round-robin", "shuffle", itertools.cycle])
def test_the_next_url_is_tried(url: str, strategy: str | Callable[[list[str]], Iterator[str]] | None) -> None:
    dead = f"amqp://guest:guest@127.0.0.1:{free_port()}//"
    transport = AmqpTransport(f"{dead};{url}", AmqpSettings(failover_strategy=strategy))
    transport.open(5)
    assert transport.count(["nothing"]) == [0]
    transport.close()


def test_a_wrong_password_is_told_of_and_not_shown(url: str) -> None:
    wrong = url.replace("guest:guest", "guest:s3cret")
    transport = AmqpTransport(f"{wrong};{wrong}", AmqpSettings())
    with pytest.raises(OperationalError, match="check user, password, virtual host") as caught:
        transport.open(5)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(transport)


def test_a_missing_virtual_host_is_told_of(url: str) -> None:
    transport = AmqpTransport(url[:-1] + "missing", AmqpSettings())
    with pytest.raises(OperationalError, match="missing"):
        transport.open(5)


def test_using_what_is_not_open_says_so(url: str) -> None:
    with pytest.raises(OperationalError, match="not open"):
        AmqpTransport(url, AmqpSettings()).count(["q"])


def test_a_frozen_broker_is_given_up_in_time(rabbitmq_server: RabbitmqServer, queue: Queue) -> None:
    transport = AmqpTransport(rabbitmq_server.url, AmqpSettings(answer_timeout_s=1))
    transport.open(5)
    rabbitmq_server.freeze()
    try:
        started = time.monotonic()
        with pytest.raises(OperationalError):
            transport.count([queue.name])
        transport.close()
        assert time.monotonic() - started < 4
    finally:
        rabbitmq_server.thaw()


def test_the_heartbeat_is_negotiated_and_kept(url: str, transport: AmqpTransport, queue: Queue) -> None:
    watching = AmqpTransport(url, AmqpSettings(heartbeat_s=1))
    watching.open(5)
    consumer = watching.consume([queue], 0, "w")
    # Without a heartbeat in three seconds the broker hangs up.
    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        assert not consumer.receive(1, 0.5)
    transport.publish([a_publication(queue)], 5)
    assert len(consumer.receive(1, 5)) == 1
    consumer.close()
    watching.close()
