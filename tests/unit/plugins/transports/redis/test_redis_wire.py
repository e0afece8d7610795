"""What Umbel and Celery's messaging library write to Redis, each can read (the formats are kombu's)."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import kombu.connection
import kombu.entity
import kombu.message
import pytest
import redis

from umbel.model import Exchange, Message, Publication, Queue, Settlement
from umbel.testing.servers import Server
from umbel_transport_redis.settings import RedisTransportSettings
from umbel_transport_redis.transport import RedisTransport

HEADERS = {"lang": "py", "task": "tasks.add", "id": "11111111-2222-3333-4444-555555555555", "retries": 0}
BODY = b'[[2, 3], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
QUEUE = Queue(name="celery")


def a_publication(queue: Queue = QUEUE, **options: Any) -> Publication:
    properties = {"correlation_id": HEADERS["id"], "reply_to": "me", "delivery_mode": 2}
    if "priority" in options:
        properties["priority"] = options["priority"]
    message = Message(BODY, dict(HEADERS), properties)
    return Publication(message, queue, options.pop("exchange", ""), options.pop("routing_key", queue.name), **options)


@pytest.fixture
def url(redis_server: Server) -> Iterator[str]:
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    yield redis_server.url
    client.flushall()
    client.close()


@pytest.fixture
def client(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        yield client


@pytest.fixture
def transport(url: str) -> Iterator[RedisTransport]:
    transport = RedisTransport(url, RedisTransportSettings(lease_s=1.5))
    transport.open(5)
    transport.declare([QUEUE])
    yield transport
    transport.close()


def test_the_envelope_is_that_of_kombu(transport: RedisTransport, client: redis.Redis) -> None:
    transport.publish([a_publication()], 5)
    [raw] = client.lrange("celery", 0, -1)
    envelope = json.loads(raw)
    tag = envelope["properties"].pop("delivery_tag")
    assert len(tag) == 36
    assert envelope == {
        "body": "W1syLCAzXSwge30sIHsiY2FsbGJhY2tzIjogbnVsbCwgImVycmJhY2tzIjogbnVsbCwgImNoYWluIjogbnVsbCwgImNob3JkIjogbnVsbH1d",
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": HEADERS,
        "properties": {
            "correlation_id": HEADERS["id"],
            "reply_to": "me",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "priority": 0,
            "body_encoding": "base64",
        },
    }
    assert client.smembers("_kombu.binding.celery") == {b"celery\x06\x16\x06\x16celery"}
    assert client.smembers("_kombu.binding_permanent.celery") == {b"celery\x06\x16\x06\x16celery"}


def test_kombu_reads_what_umbel_sends(url: str, transport: RedisTransport) -> None:
    transport.publish([a_publication()], 5)
    got: list[kombu.message.Message] = []
    with kombu.connection.Connection(url) as connection, connection.SimpleQueue("celery") as queue:
        message = queue.get(timeout=5)
        got.append(message)
        message.ack()
    assert got[0].headers == HEADERS
    assert got[0].payload == json.loads(BODY)
    assert got[0].properties["correlation_id"] == HEADERS["id"]


def test_umbel_reads_what_kombu_sends(url: str, transport: RedisTransport) -> None:
    with kombu.connection.Connection(url) as connection:
        connection.Producer().publish(json.loads(BODY), routing_key="celery", headers=HEADERS, serializer="json")
    consumer = transport.consume([QUEUE], 0, "w1@here")
    [delivery] = consumer.receive(10, 5)
    assert delivery.error is None
    assert delivery.message.headers == HEADERS
    assert json.loads(delivery.message.body) == json.loads(BODY)
    assert (delivery.message.content_type, delivery.message.content_encoding) == ("application/json", "utf-8")
    assert (delivery.queue, delivery.routing_key, delivery.delivery_count) == ("celery", "celery", 1)
    consumer.settle(Settlement(acks=[delivery]))
    consumer.close()


@pytest.mark.parametrize(
    ("priority", "key"), [(9, "celery"), (6, "celery\x06\x163"), (3, "celery\x06\x166"), (0, "celery\x06\x169")]
)
def test_a_higher_priority_lies_in_an_earlier_list(
    transport: RedisTransport, client: redis.Redis, priority: int, key: str
) -> None:
    transport.publish([a_publication(priority=priority)], 5)
    assert client.keys("celery*") == [key.encode()]


def test_topic_bindings_are_written_and_read_as_kombu_does(
    url: str, transport: RedisTransport, client: redis.Redis
) -> None:
    exchange = Exchange(name="media", kind="topic")
    videos = Queue(name="videos", exchange=exchange, routing_key="video.#")
    transport.declare([videos])
    kombu_exchange = kombu.entity.Exchange("media", type="topic")
    with kombu.connection.Connection(url) as connection:
        channel: Any = connection.channel()
        kombu.entity.Queue("any", kombu_exchange, routing_key="#").bind(channel).declare()
        transport.publish([a_publication(videos, exchange="media", routing_key="video.mpeg")], 5)
        assert (client.llen("videos"), client.llen("any")) == (1, 1)
        connection.Producer().publish({}, exchange=kombu_exchange, routing_key="video.ogg", declare=[kombu_exchange])
    assert (client.llen("videos"), client.llen("any")) == (2, 2)


def test_broadcasts_of_kombu_arrive(url: str, transport: RedisTransport) -> None:
    exchange = Exchange(name="celery.pidbox", kind="fanout", durable=False)
    mailbox = Queue(name="w1@here.celery.pidbox", exchange=exchange, routing_key="", no_ack=True)
    transport.declare([mailbox])
    consumer = transport.consume([mailbox], 0, "w1@here")
    with kombu.connection.Connection(url) as connection:
        pidbox = kombu.entity.Exchange("celery.pidbox", type="fanout")
        connection.Producer().publish({"method": "ping"}, exchange=pidbox, declare=[pidbox])
    [delivery] = consumer.receive(10, 5)
    assert json.loads(delivery.message.body) == {"method": "ping"}
    consumer.close()


def test_garbage_in_a_list_is_delivered_as_an_error(transport: RedisTransport, client: redis.Redis) -> None:
    # [B972]
    client.lpush("celery", b"\x00\xffgarbage", b"{}", b'{"properties": 5}')
    consumer = transport.consume([QUEUE], 0, "w1@here")
    deliveries = consumer.receive(10, 5)
    assert [delivery.error is not None for delivery in deliveries] == [True, True, True]
    assert deliveries[0].message.body == b"\x00\xffgarbage"
    consumer.settle(Settlement(acks=deliveries))
    consumer.close()


def test_what_a_silent_consumer_holds_is_free_when_its_lease_is_over(transport: RedisTransport) -> None:
    transport.publish([a_publication()], 5)
    silent = transport.consume([QUEUE], 0, "silent@here")
    assert len(silent.receive(10, 5)) == 1
    other = transport.consume([QUEUE], 0, "other@here")
    assert not other.receive(10, 0.5)
    [again] = other.receive(10, 10)
    assert (again.delivery_count, again.redelivered) == (2, True)
    other.settle(Settlement(acks=[again]))
    silent.close()
    other.close()
    assert transport.count(["celery"]) == [0]


def test_a_lease_that_is_extended_is_kept(transport: RedisTransport) -> None:
    transport.publish([a_publication()], 5)
    holder = transport.consume([QUEUE], 0, "holder@here")
    held = holder.receive(10, 5)
    other = transport.consume([QUEUE], 0, "other@here")
    end = time.monotonic() + 3
    while time.monotonic() < end:
        holder.extend()
        assert not other.receive(10, 0.5)
    holder.settle(Settlement(acks=held))
    holder.close()
    other.close()


def test_nothing_of_umbel_is_left_behind(transport: RedisTransport, client: redis.Redis) -> None:
    transport.publish([a_publication() for _ in range(50)], 5)
    consumer = transport.consume([QUEUE], 0, "w1@here")
    consumer.settle(Settlement(acks=consumer.receive(50, 5)))
    consumer.close()
    assert client.keys("*umbel*") == []


def test_a_wrong_database_is_named() -> None:
    with pytest.raises(Exception, match="number of a database"):
        RedisTransport("redis://localhost/zero", RedisTransportSettings())


def test_an_error_never_shows_the_password() -> None:
    transport = RedisTransport("redis://:s3cret@127.0.0.1:1/0", RedisTransportSettings())
    with pytest.raises(Exception, match="cannot connect") as caught:
        transport.open(1)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(transport)


def test_a_delayed_task_goes_where_the_workers_of_its_queue_look(
    transport: RedisTransport, client: redis.Redis
) -> None:
    """Celery's workers hold it themselves and know no delayed set; for Umbel's it waits in the store."""
    later = time.time() + 60
    delayed = a_publication(deliver_at=later)
    delayed.message.headers["eta"] = "2099-01-01T00:00:00+00:00"
    transport.publish([delayed], 5)
    assert (client.llen("celery"), client.zcard("umbel.delayed.celery")) == (1, 0)
    other = RedisTransport(
        f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0", RedisTransportSettings()
    )
    other.open(5)
    consumer = other.consume([QUEUE], 0, "w1@here")
    fresh = RedisTransport(other._url, RedisTransportSettings())
    fresh.open(5)
    fresh.publish([delayed], 5)
    assert (client.llen("celery"), client.zcard("umbel.delayed.celery")) == (1, 1)
    consumer.close()
    assert not client.exists("umbel.listeners.celery")
    for each in (other, fresh):
        each.close()


def test_many_at_once_lie_in_the_order_in_which_they_were_sent(transport: RedisTransport, client: redis.Redis) -> None:
    bodies = [b"[[%d], {}, %b]" % (number, b"x" * (number % 7) * 300) for number in range(1_203)]
    transport.publish([Publication(Message(body, dict(HEADERS)), QUEUE, "", "celery") for body in bodies], 5)
    found = [base64.b64decode(json.loads(raw)["body"]) for raw in client.lrange("celery", 0, -1)]
    assert found[::-1] == bodies


def test_headers_whose_names_are_no_text_are_written_as_json_does(
    transport: RedisTransport, client: redis.Redis
) -> None:
    transport.publish([Publication(Message(BODY, {**HEADERS, "stamps": {7: "seven"}}), QUEUE, "", "celery")], 5)
    [raw] = client.lrange("celery", 0, -1)
    assert json.loads(raw)["headers"]["stamps"] == {"7": "seven"}
