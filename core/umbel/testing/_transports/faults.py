"""What breaks, and what must not break with it."""

from __future__ import annotations

import contextlib
import time

import pytest

from umbel.exceptions import OperationalError
from umbel.host import Host
from umbel.model import Queue, Settlement
from umbel.testing._transports.stage import PUBLISH_TIMEOUT_S, SOON_S, TransportStage, bodies
from umbel.testing.capabilities import needs, needs_hook
from umbel.testing.plugins import make_transport

__all__ = ["FaultTests"]


class FaultTests(TransportStage):
    """Killed processes, cut connections, slow stores, garbage, restarts."""

    @needs("many_processes", "leases")
    def test_what_a_killed_process_held_is_free_again_and_counted(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", b"2", b"3")
        child = self.child()
        assert len(child.call("receive", queue=queue.name, limit=2, timeout_s=SOON_S)) == 2
        consumer = self.consumer(queue)
        assert bodies(self.receive(consumer, 1)) == [b"3"]
        child.kill()
        again = self.receive(consumer, 2, self.lease_expiry_s)
        assert sorted(bodies(again)) == [b"1", b"2"]
        assert all(delivery.redelivered or delivery.delivery_count == 2 for delivery in again)
        if self.capabilities.counts_deliveries:
            assert [delivery.delivery_count for delivery in again] == [2, 2]

    @needs("many_processes", "leases", "counts_deliveries")
    def test_a_message_that_kills_its_consumers_is_counted_each_time(self) -> None:
        queue = self.queue()
        self.publish(queue, b"poison")
        for count in (1, 2):
            child = self.child()
            got = child.call("receive", queue=queue.name, limit=1, timeout_s=self.lease_expiry_s)
            assert got == [["poison", count]]
            child.kill()
        [delivery] = self.receive(self.consumer(queue), 1, self.lease_expiry_s)
        assert delivery.delivery_count == 3

    @needs("many_processes", "leases")
    def test_a_killed_process_takes_nothing_of_the_living_with_it(self) -> None:
        queue = self.queue()
        self.publish(queue, b"mine", b"its")
        consumer = self.consumer(queue)
        mine = self.receive(consumer, 1)
        child = self.child()
        child.call("receive", queue=queue.name, limit=1, timeout_s=SOON_S)
        child.kill()
        deadline = time.monotonic() + self.lease_expiry_s
        other = self.consumer(queue, transport=self.connect())
        got: list[bytes] = []
        while not got and time.monotonic() < deadline:
            got = bodies(other.receive(5, 0.2))
            consumer.extend()
        assert got == [b"its"]
        consumer.settle(Settlement(acks=mine))

    @needs("many_processes", "durable")
    def test_a_process_killed_after_publishing_loses_nothing(self) -> None:
        queue = self.queue()
        child = self.child()
        expected = [str(number) for number in range(50)]
        child.call("publish", queue=queue.name, bodies=expected)
        child.kill()
        assert [body.decode() for body in self.drain(self.consumer(queue))] == expected

    @needs("durable")
    def test_messages_are_there_when_the_store_is_opened_again(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", b"2")
        if self.capabilities.counts_delayed:
            self.publish(queue, b"later", deliver_at=time.time() + 60)
        self.transport.close()
        again = make_transport(self.url, self.app)
        self._closing.callback(again.close)
        assert again.count([queue.name]) == [3 if self.capabilities.counts_delayed else 2]
        assert self.drain(self.consumer(queue, transport=again)) == [b"1", b"2"]

    @needs_hook("inject_garbage")
    def test_garbage_comes_as_a_delivery_with_an_error_and_stops_nobody(self) -> None:
        queue = self.queue()
        self.publish(queue, b"before")
        for data in (b"\xff\x00 no message", b"", b"{}", b"[]", b"UMBEL"):
            self.inject_garbage(queue.name, data)
        self.publish(queue, b"after")
        consumer = self.consumer(queue)
        deliveries = self.receive(consumer, 7)
        assert {delivery.message.body for delivery in deliveries if delivery.error is None} == {b"before", b"after"}
        broken = [delivery for delivery in deliveries if delivery.error is not None]
        assert len(broken) == 5
        assert b"\xff\x00 no message" in {delivery.message.body for delivery in broken}
        consumer.settle(Settlement(acks=deliveries))
        assert self.transport.count([queue.name]) == [0]

    @needs_hook("cut_connection")
    def test_a_cut_connection_raises_and_a_new_one_gets_everything(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", b"2")
        broken = self.connect()
        consumer = broken.consume([queue], 0, "worker")
        self.receive(consumer, 1)
        self.cut_connection(broken)

        def use_it() -> None:
            for _ in range(20):
                consumer.receive(5, 0.1)
                consumer.extend()

        with pytest.raises(OperationalError):
            use_it()
        consumer.close()
        broken.close()
        again = self.receive(self.consumer(queue, transport=self.connect()), 2, self.lease_expiry_s)
        assert sorted(bodies(again)) == [b"1", b"2"]

    @needs_hook("cut_connection")
    def test_publishing_over_a_cut_connection_raises_or_arrives(self) -> None:
        queue = self.queue()
        broken = self.connect()
        self.cut_connection(broken)
        try:
            self.publish(queue, b"1", transport=broken)
            arrived = [b"1"]
        except OperationalError:
            arrived = []
        self.publish(queue, b"2", transport=self.connect())
        assert self.drain(self.consumer(queue)) in ([*arrived, b"2"], [b"1", b"2"])

    @needs_hook("slow_store")
    def test_a_slow_store_is_given_up_in_time(self) -> None:
        queue = self.queue()
        with self.slow_store():
            started = time.monotonic()
            with pytest.raises(OperationalError):
                self.transport.publish([self.publication(queue, b"1")], 0.5)
            assert time.monotonic() - started < 0.5 + 5.0
        other = self.connect()
        self.publish(queue, b"2", transport=other)
        assert b"2" in self.drain(self.consumer(queue, transport=other))

    @needs_hook("slow_store")
    def test_declaring_at_a_slow_store_is_over_in_time(self) -> None:
        """Done, where what is slow does not hold it up, or given up."""
        queue = self.queue()
        with self.slow_store():
            started = time.monotonic()
            with contextlib.suppress(OperationalError), self.transport.within(0.5):
                self.transport.declare([Queue(name=f"{queue.name}-new")])
            assert time.monotonic() - started < 0.5 + 5.0

    @needs_hook("unreachable_url")
    def test_an_unreachable_store_raises_in_time_and_hides_the_password(self) -> None:
        url = self.unreachable_url()
        transport = Host().transport(self.app, url)
        started = time.monotonic()
        with pytest.raises(OperationalError) as raised:
            transport.open(1.0)
        assert time.monotonic() - started < 1.0 + 5.0
        assert "s3cret" not in str(raised.value)
        transport.close()

    def test_a_duplicate_is_two_messages(self) -> None:
        """Whoever is not sure that a publication arrived sends it again; transports do not guess."""
        queue = self.queue()
        publication = self.publication(queue, b"1")
        self.transport.publish([publication], PUBLISH_TIMEOUT_S)
        self.transport.publish([publication], PUBLISH_TIMEOUT_S)
        assert self.drain(self.consumer(queue)) == [b"1", b"1"]
