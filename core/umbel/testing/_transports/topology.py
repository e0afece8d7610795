"""Exchanges: who gets a copy of what."""

from __future__ import annotations

import pytest

from umbel.model import Exchange, Message, Publication, Queue, Settlement
from umbel.testing._transports.stage import PUBLISH_TIMEOUT_S, TransportStage, bodies
from umbel.testing.capabilities import needs

__all__ = ["TopologyTests"]


class TopologyTests(TransportStage):
    """Fan-out, topics, direct exchanges."""

    def send(self, exchange: Exchange, routing_key: str, body: bytes, **headers: object) -> None:
        """Publish to *exchange* without a queue, as events and broadcasts are."""
        publication = Publication(Message(body, headers=dict(headers)), None, exchange.name, routing_key)
        self.transport.publish([publication], PUBLISH_TIMEOUT_S)

    def bound(self, name: str, exchange: Exchange, routing_key: str = "", **options: object) -> Queue:
        """Return a queue bound to *exchange*, declared."""
        return self.queue(name, exchange=exchange, routing_key=routing_key, **options)

    def exchange(self, kind: str) -> Exchange:
        """Return an exchange of *kind*; skip where the transport does not route that kind."""
        if kind not in self.capabilities.exchange_kinds:
            pytest.skip(f"{type(self.transport).__name__} does not route exchanges of kind {kind!r}")
        return Exchange(name=self.name(f"exchange-{kind}"), kind=kind)

    @needs("fanout", "keeps_broadcasts")
    def test_a_fanout_exchange_gives_each_queue_its_own_copy(self) -> None:
        exchange = self.exchange("fanout")
        queues = [self.bound(name, exchange) for name in ("a", "b", "c")]
        self.send(exchange, "whatever", b"1", n=[1])
        assert self.transport.count([queue.name for queue in queues]) == [1, 1, 1]
        first = self.consumer(queues[0])
        held = self.receive(first, 1)
        held[0].message.headers["n"].append(2)
        first.settle(Settlement(acks=held))
        [other] = self.receive(self.consumer(queues[1]), 1)
        assert other.message.headers["n"] == [1]
        assert self.drain(self.consumer(queues[2])) == [b"1"]

    @needs("fanout")
    def test_a_fanout_wakes_every_consumer(self) -> None:
        exchange = self.exchange("fanout")
        consumers = [self.consumer(self.bound(name, exchange), transport=self.connect()) for name in ("a", "b")]
        self.send(exchange, "", b"1")
        assert [bodies(self.receive(consumer, 1)) for consumer in consumers] == [[b"1"], [b"1"]]

    @needs("fanout", "keeps_broadcasts")
    def test_two_consumers_of_one_copy_share_it(self) -> None:
        exchange = self.exchange("fanout")
        queue = self.bound("a", exchange)
        self.send(exchange, "", b"1")
        self.send(exchange, "", b"2")
        first, second = self.consumer(queue), self.consumer(queue, transport=self.connect())
        assert bodies(self.receive(first, 1) + self.receive(second, 1)) == [b"1", b"2"]

    def test_a_topic_exchange_routes_by_pattern(self) -> None:
        exchange = self.exchange("topic")
        patterns = {"all": "#", "one": "task.*", "deep": "task.#", "exact": "task.sent", "tail": "#.sent"}
        queues = {name: self.bound(name, exchange, pattern) for name, pattern in patterns.items()}
        for key in ("task.sent", "task", "worker.online", "task.a.sent", "x.sent"):
            self.send(exchange, key, key.encode())
        got = {
            name: [body.decode() for body in self.drain(self.consumer(queue), idle_s=0.1)]
            for name, queue in queues.items()
        }
        assert got == {
            "all": ["task.sent", "task", "worker.online", "task.a.sent", "x.sent"],
            "one": ["task.sent"],
            "deep": ["task.sent", "task", "task.a.sent"],
            "exact": ["task.sent"],
            "tail": ["task.sent", "task.a.sent", "x.sent"],
        }

    def test_a_direct_exchange_routes_by_key(self) -> None:
        exchange = self.exchange("direct")
        red, blue = self.bound("red", exchange, "red"), self.bound("blue", exchange, "blue")
        also_red = self.bound("also-red", exchange, "red")
        self.send(exchange, "red", b"r")
        self.send(exchange, "blue", b"b")
        self.send(exchange, "green", b"nobody's")
        assert [self.drain(self.consumer(queue), idle_s=0.1) for queue in (red, blue, also_red)] == [
            [b"r"],
            [b"b"],
            [b"r"],
        ]

    def test_a_queue_may_have_several_bindings(self) -> None:
        exchange = self.exchange("direct")
        queue = self.bound("both", exchange, "red", bindings=((exchange, "blue"),))
        self.send(exchange, "red", b"r")
        self.send(exchange, "blue", b"b")
        assert self.drain(self.consumer(queue), idle_s=0.1) == [b"r", b"b"]

    def test_a_queue_bound_twice_gets_one_copy(self) -> None:
        exchange = self.exchange("topic")
        queue = self.bound("twice", exchange, "a.*", bindings=((exchange, "#"),))
        self.send(exchange, "a.b", b"1")
        assert self.transport.count([queue.name]) == [1]

    def test_a_headers_exchange_routes_by_headers(self) -> None:
        """[B866] [B867]."""
        exchange = self.exchange("headers")
        every = self.bound("every", exchange, binding_arguments={"x-match": "all", "a": 1, "b": "x"})
        some = self.bound("some", exchange, binding_arguments={"x-match": "any", "a": 1, "b": "x"})
        self.send(exchange, "", b"both", a=1, b="x")
        self.send(exchange, "", b"one", a=1, b="y")
        self.send(exchange, "", b"none", a=2)
        assert self.drain(self.consumer(every), idle_s=0.1) == [b"both"]
        assert self.drain(self.consumer(some), idle_s=0.1) == [b"both", b"one"]

    def test_a_queue_that_is_bound_later_gets_what_is_sent_later(self) -> None:
        """A publisher that has found nobody must not remember that there is nobody."""
        exchange = self.exchange("topic")
        self.transport.delete(self.bound("to-make-it-known", exchange, "never").name)
        self.send(exchange, "a.b", b"nobody's")
        late = Queue(name=self.name("late"), exchange=exchange, routing_key="a.*")
        self.connect().declare([late])
        self.send(exchange, "a.b", b"1")
        assert self.drain(self.consumer(late), idle_s=0.1) == [b"1"]

    def test_the_default_exchange_reaches_a_queue_by_its_name(self) -> None:
        queue = self.queue()
        publication = Publication(Message(b"1"), queue, "", queue.name)
        self.transport.publish([publication], PUBLISH_TIMEOUT_S)
        assert self.drain(self.consumer(queue)) == [b"1"]

    @needs("fanout", "keeps_broadcasts")
    def test_a_deleted_queue_gets_no_more_copies(self) -> None:
        exchange = self.exchange("fanout")
        kept, gone = self.bound("kept", exchange), self.bound("gone", exchange)
        self.transport.delete(gone.name)
        self.send(exchange, "", b"1")
        assert self.transport.count([kept.name, gone.name]) == [1, 0]
