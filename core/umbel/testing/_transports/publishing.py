"""What is published comes out as it went in, once, in order."""

from __future__ import annotations

import pytest

from umbel.exceptions import UmbelError
from umbel.model import Message, Publication, Queue, Settlement
from umbel.testing._transports.stage import PUBLISH_TIMEOUT_S, SOON_S, TransportStage, bodies

__all__ = ["PublishingTests"]

#: Every JSON type, and text that is hard on careless codecs.
_HEADERS = {
    "lang": "py",
    "task": "tests.añadir",
    "null": None,
    "true": True,
    "false": False,
    "int": -(2**62),
    "float": 0.1,
    "list": [None, 20.5, [1, []]],
    "map": {"a": {"b": ["c", {}]}, "": "empty key"},
    "text": "\u2603 \U0001f33c \x00 ' \" \\ \n",
    "empty": "",
}


class PublishingTests(TransportStage):
    """Round trips, batches, order, counts."""

    def test_a_message_comes_out_as_it_went_in(self) -> None:
        queue = self.queue()
        message = Message(
            b"\x00body\xff",
            headers=dict(_HEADERS),
            properties={"correlation_id": "1-2", "reply_to": "3", "delivery_mode": 2, "x-own": [1]},
            content_type="application/x-own",
            content_encoding="binary",
        )
        self.transport.publish([Publication(message, queue, queue.exchange.name, queue.routing_key)], PUBLISH_TIMEOUT_S)
        [delivery] = self.receive(self.consumer(queue), 1)
        got = delivery.message
        assert got.body == message.body
        assert {name: got.headers[name] for name in _HEADERS} == _HEADERS
        assert {name: got.properties.get(name) for name in message.properties} == message.properties
        assert (got.content_type, got.content_encoding) == ("application/x-own", "binary")
        assert delivery.queue == queue.name
        assert (delivery.exchange, delivery.routing_key) == (queue.exchange.name, queue.routing_key)
        assert delivery.delivery_count == 1
        assert not delivery.redelivered
        assert delivery.error is None

    def test_bodies_are_bytes_of_any_kind(self) -> None:
        queue = self.queue()
        payloads = [b"", bytes(range(256)), b"\x06\x16", b"\r\n\x00", "ü".encode("latin-1")]
        self.publish(queue, *payloads)
        assert bodies(self.receive(self.consumer(queue), len(payloads))) == payloads

    def test_a_message_of_five_megabytes(self) -> None:
        queue = self.queue()
        large = bytes(range(256)) * (5 * 1024 * 4)
        self.publish(queue, large, b"small")
        deliveries = self.receive(self.consumer(queue), 2)
        assert [len(body) for body in bodies(deliveries)] == [len(large), 5]
        assert deliveries[0].message.body == large

    def test_a_batch_keeps_its_order(self) -> None:
        queue = self.queue()
        payloads = [str(number).encode() for number in range(300)]
        self.publish(queue, *payloads)
        assert bodies(self.receive(self.consumer(queue), 300)) == payloads

    def test_messages_sent_one_by_one_keep_their_order(self) -> None:
        queue = self.queue()
        payloads = [str(number).encode() for number in range(60)]
        for payload in payloads:
            self.publish(queue, payload)
        consumer = self.consumer(queue)
        got = [bodies(self.receive(consumer, 1))[0] for _ in payloads]
        assert got == payloads

    def test_publishing_nothing_does_nothing(self) -> None:
        queue = self.queue()
        self.transport.publish([], PUBLISH_TIMEOUT_S)
        assert self.transport.count([queue.name]) == [0]

    def test_queues_are_kept_apart(self) -> None:
        first, second = self.queue("first"), self.queue("second")
        self.transport.publish([self.publication(first, b"1"), self.publication(second, b"2")], PUBLISH_TIMEOUT_S)
        self.publish(first, b"3")
        assert self.drain(self.consumer(second)) == [b"2"]
        assert self.drain(self.consumer(first)) == [b"1", b"3"]

    def test_queue_names_are_text_of_any_kind(self) -> None:
        names = ["celery@héllo", "a/b", "../up", "with space", "%2F", "CASE", "case", "x" * 150, ".dot", "a:b*c?"]
        for number, name in enumerate(names):
            self.publish(self.queue(name), str(number).encode())
        for number, name in enumerate(names):
            assert self.drain(self.consumer(self.queue(name)), idle_s=0.05) == [str(number).encode()], name

    def test_what_the_sender_changes_after_publishing_does_not_travel(self) -> None:
        queue = self.queue()
        message = Message(b"", headers={"list": [1]}, properties={"x": 1})
        self.transport.publish([Publication(message, queue, "", queue.name)], PUBLISH_TIMEOUT_S)
        message.headers["list"].append(2)
        message.properties["x"] = 2
        [delivery] = self.receive(self.consumer(queue), 1)
        assert delivery.message.headers["list"] == [1]
        assert delivery.message.properties["x"] == 1

    def test_a_batch_with_a_message_that_cannot_be_carried_is_refused_whole(self) -> None:
        queue = self.queue()
        bad = Publication(Message(b"bad", headers={"what": object()}), queue, queue.exchange.name, queue.routing_key)
        with pytest.raises((UmbelError, TypeError, ValueError)):
            self.transport.publish([self.publication(queue, b"1"), bad, self.publication(queue, b"3")], SOON_S)
        assert self.transport.count([queue.name]) == [0]
        self.publish(queue, b"after")
        assert self.drain(self.consumer(queue)) == [b"after"]

    def test_a_queue_that_nobody_declared_is_made_by_publishing(self) -> None:
        queue = Queue(name=self.name("undeclared"))
        self.publish(queue, b"1")
        assert self.drain(self.consumer(queue)) == [b"1"]

    def test_a_queue_that_nobody_declared_is_made_by_consuming(self) -> None:
        queue = Queue(name=self.name("undeclared"))
        consumer = self.consumer(queue)
        assert not consumer.receive(1, 0.05)
        self.publish(queue, b"1", transport=self.connect())
        assert self.drain(consumer) == [b"1"]

    def test_declaring_again_changes_nothing(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1")
        self.transport.declare([queue, queue])
        self.connect().declare([queue])
        assert self.transport.count([queue.name]) == [1]

    # -- count, purge, delete -----------------------------------------------------------------------------------------

    def test_count_tells_what_waits_unclaimed(self) -> None:
        first, second = self.queue("first"), self.queue("second")
        self.publish(first, b"1", b"2", b"3")
        unknown = self.name("unknown")
        assert self.transport.count([first.name, unknown, second.name]) == [3, 0, 0]
        held = self.receive(self.consumer(first), 2)
        other = self.connect()
        assert other.count([first.name]) == [1]
        assert len(held) == 2

    def test_purge_drops_what_waits_and_not_what_is_held(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", b"2", b"3")
        consumer = self.consumer(queue)
        held = self.receive(consumer, 1)
        assert self.transport.purge(queue.name) == 2
        assert self.transport.purge(queue.name) == 0
        assert not consumer.receive(5, 0.05)
        consumer.settle(Settlement(requeues=held))
        assert self.drain(consumer) == [b"1"]

    def test_purging_an_unknown_queue_drops_nothing(self) -> None:
        assert self.transport.purge(self.name("unknown")) == 0

    def test_delete_removes_the_queue_with_what_is_in_it(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", b"2")
        self.transport.delete(queue.name)
        self.transport.delete(queue.name)
        assert self.transport.count([queue.name]) == [0]
        self.queue()
        self.publish(queue, b"3")
        assert self.drain(self.consumer(queue)) == [b"3"]

    def test_a_queue_deleted_under_its_consumer_harms_nobody(self) -> None:
        queue, other = self.queue(), self.queue("other")
        consumer = self.consumer(queue, other)
        self.publish(queue, b"1")
        held = self.receive(consumer, 1)
        self.connect().delete(queue.name)
        consumer.settle(Settlement(acks=held))
        self.publish(other, b"2")
        assert self.drain(consumer) == [b"2"]

    def test_ten_thousand_messages(self) -> None:
        queue = self.queue()
        expected = [str(number).encode() for number in range(10_000)]
        for start in range(0, 10_000, 500):
            self.publish(queue, *expected[start : start + 500])
        assert self.transport.count([queue.name]) == [10_000]
        assert self.drain(self.consumer(queue), limit=250) == expected
        assert self.transport.count([queue.name]) == [0]
