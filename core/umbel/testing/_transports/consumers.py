"""The life of a consumer: queues come and go, others wake it, it closes."""

from __future__ import annotations

import threading
import time

from umbel.model import Queue, Settlement
from umbel.testing._transports.stage import SOON_S, TransportStage, bodies
from umbel.testing.threads import in_thread, in_threads

__all__ = ["ConsumerTests"]


class ConsumerTests(TransportStage):
    """``wake``, ``add_queue``, ``cancel_queue``, ``close``, open and close under stress."""

    def test_wake_ends_a_blocked_receive(self) -> None:
        consumer = self.consumer(self.queue())
        for _ in range(5):
            waiting = in_thread(consumer.receive, 1, 30.0)
            consumer.wake()
            started = time.monotonic()
            assert list(waiting.result(SOON_S)) == []
            assert time.monotonic() - started < self.lateness_s

    def test_wake_before_receive_ends_the_next_one_alone(self) -> None:
        consumer = self.consumer(self.queue())
        consumer.wake()
        started = time.monotonic()
        assert not consumer.receive(1, SOON_S)
        assert time.monotonic() - started < self.lateness_s
        started = time.monotonic()
        assert not consumer.receive(1, 0.3)
        assert time.monotonic() - started >= 0.25

    def test_wakes_from_many_threads_lose_no_message(self) -> None:
        queue = self.queue()
        consumer = self.consumer(queue)
        publisher = self.connect()
        expected = [str(number).encode() for number in range(200)]
        over = threading.Event()

        def disturb() -> list[bytes]:
            while not over.wait(0.0005):
                consumer.wake()
            return []

        def send() -> list[bytes]:
            for payload in expected:
                self.publish(queue, payload, transport=publisher)
            return []

        def take() -> list[bytes]:
            got: list[bytes] = []
            deadline = time.monotonic() + 25
            try:
                while len(got) < len(expected) and time.monotonic() < deadline:
                    batch = consumer.receive(10, 1.0)
                    consumer.settle(Settlement(acks=batch))
                    got.extend(bodies(batch))
            finally:
                over.set()
            return got

        results = in_threads([take, send, disturb, disturb, disturb])
        assert results[0] == expected

    def test_waking_a_closed_consumer_is_harmless(self) -> None:
        consumer = self.consumer(self.queue())
        consumer.close()
        consumer.wake()

    def test_queues_are_added_and_cancelled_between_two_receives(self) -> None:
        first, second = self.queue("first"), self.queue("second")
        consumer = self.consumer(first)
        self.publish(second, b"2")
        assert not consumer.receive(1, 0.1)
        consumer.add_queue(second)
        consumer.add_queue(second)
        held = self.receive(consumer, 1)
        assert bodies(held) == [b"2"]
        assert held[0].queue == second.name
        consumer.cancel_queue(second.name)
        consumer.cancel_queue(second.name)
        self.publish(second, b"3")
        assert not consumer.receive(1, 0.1)
        self.publish(first, b"1")
        assert bodies(self.receive(consumer, 1)) == [b"1"]
        # What is held from a cancelled queue stays held, and can be settled.
        assert not self.consumer(first, transport=self.connect()).receive(1, 0.05)
        assert self.transport.count([second.name]) == [1]
        consumer.settle(Settlement(requeues=held))
        assert self.transport.count([second.name]) == [2]

    def test_a_consumer_without_queues_waits_and_may_be_given_one(self) -> None:
        consumer = self.consumer()
        assert not consumer.receive(1, 0.05)
        queue = self.queue()
        consumer.add_queue(queue)
        waiting = in_thread(consumer.receive, 1, SOON_S)
        self.publish(queue, b"1", transport=self.connect())
        assert bodies(waiting.result(SOON_S)) == [b"1"]

    def test_an_undeclared_queue_may_be_added(self) -> None:
        consumer = self.consumer(self.queue())
        queue = Queue(name=self.name("late"))
        consumer.add_queue(queue)
        self.publish(queue, b"1", transport=self.connect())
        assert bodies(self.receive(consumer, 1)) == [b"1"]

    def test_no_queue_starves_another(self) -> None:
        first, second = self.queue("first"), self.queue("second")
        self.publish(first, *[b"1"] * 100)
        self.publish(second, *[b"2"] * 100)
        consumer = self.consumer(first, second)
        got: list[bytes] = []
        for _ in range(30):
            held = self.receive(consumer, 5)
            consumer.settle(Settlement(acks=held))
            got.extend(bodies(held))
        assert {b"1", b"2"} == set(got), "150 of 200 messages came, all of one queue"

    def test_closing_gives_back_what_is_held_uncounted(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", b"2", b"3")
        consumer = self.consumer(queue)
        held = self.receive(consumer, 3)
        consumer.settle(Settlement(acks=held[:1]))
        consumer.close()
        consumer.close()
        again = self.receive(self.consumer(queue, transport=self.connect()), 2)
        assert bodies(again) == [b"2", b"3"]
        if self.capabilities.counts_deliveries:
            assert [delivery.delivery_count for delivery in again] == [1, 1]

    def test_closing_wakes_others_who_wait(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1")
        first, second = self.consumer(queue), self.consumer(queue, transport=self.connect())
        self.receive(first, 1)
        waiting = in_thread(second.receive, 1, SOON_S)
        first.close()
        assert bodies(waiting.result(SOON_S)) == [b"1"]

    def test_a_transport_opens_and_closes_any_number_of_times(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1")
        transport = self.connect()
        transport.open(1.0)
        assert transport.count([queue.name]) == [1]
        transport.close()
        transport.close()
        transport.open(SOON_S)
        assert transport.count([queue.name]) == [1]

    def test_ten_threads_open_and_close_hundreds_of_times(self) -> None:
        queue = self.queue()
        self.publish(queue, *[str(number).encode() for number in range(10)])
        stop = time.monotonic() + 4.0

        def churn() -> int:
            rounds = 0
            while rounds < 20 and time.monotonic() < stop:
                transport = self.connect()
                consumer = transport.consume([queue], 0, "churn")
                consumer.receive(1, 0)
                consumer.wake()
                consumer.close()
                transport.close()
                rounds += 1
            return rounds

        assert min(in_threads([churn] * 10)) >= 1
        # Everything was given back: nothing lost, nothing doubled, nothing counted.
        deliveries = self.receive(self.consumer(queue), 10)
        assert sorted(bodies(deliveries)) == [str(number).encode() for number in range(10)]
        if self.capabilities.counts_deliveries:
            assert {delivery.delivery_count for delivery in deliveries} == {1}
