"""A message is held by one consumer at a time, until it is settled."""

from __future__ import annotations

import time
from functools import partial
from itertools import chain

from umbel.model import Settlement
from umbel.testing._transports.stage import PUBLISH_TIMEOUT_S, SOON_S, TransportStage, bodies
from umbel.testing.capabilities import needs
from umbel.testing.threads import in_thread, in_threads

__all__ = ["ClaimingTests"]


class ClaimingTests(TransportStage):
    """Claims, acknowledgements, requeues; several consumers."""

    def test_receive_returns_what_is_there_at_once_and_no_more_than_asked(self) -> None:
        queue = self.queue()
        self.publish(queue, *[b"x"] * 5)
        consumer = self.consumer(queue)
        started = time.monotonic()
        assert len(self.receive(consumer, 3)) == 3
        assert 1 <= len(consumer.receive(10, SOON_S)) <= 2
        assert time.monotonic() - started < SOON_S

    def test_receive_waits_as_long_as_it_was_told(self) -> None:
        consumer = self.consumer(self.queue())
        started = time.monotonic()
        assert not consumer.receive(1, 0.3)
        assert 0.25 <= time.monotonic() - started < 0.3 + self.lateness_s
        started = time.monotonic()
        assert not consumer.receive(1, 0)
        assert time.monotonic() - started < self.lateness_s

    def test_a_waiting_consumer_gets_what_is_published(self) -> None:
        queue = self.queue()
        consumer = self.consumer(queue)
        waiting = in_thread(consumer.receive, 1, SOON_S)
        started = time.monotonic()
        self.publish(queue, b"1")
        assert bodies(waiting.result(SOON_S)) == [b"1"]
        assert time.monotonic() - started < self.lateness_s

    def test_what_is_held_is_not_seen_by_others(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", b"2")
        first, second = self.consumer(queue), self.consumer(queue, transport=self.connect())
        held = self.receive(first, 2)
        assert not second.receive(1, 0.2)
        first.settle(Settlement(acks=held))
        assert not second.receive(1, 0.1)
        assert not first.receive(1, 0)

    def test_the_lease_lasts_while_it_is_renewed(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1")
        first, second = self.consumer(queue), self.consumer(queue, transport=self.connect())
        held = self.receive(first, 1)
        for _ in range(8):
            assert not second.receive(1, 0.25)
            first.extend()
        first.settle(Settlement(acks=held))
        assert self.transport.count([queue.name]) == [0]

    def test_many_threads_share_a_queue_without_seeing_a_message_twice(self) -> None:
        queue = self.queue()
        expected = sorted(str(number).encode() for number in range(400))
        consumers = [self.consumer(queue, transport=self.connect()) for _ in range(4)]
        self.publish(queue, *expected)
        got = in_threads([partial(self.drain, consumer, limit=7) for consumer in consumers])
        assert sorted(chain.from_iterable(got)) == expected

    def test_many_threads_publish_while_many_receive(self) -> None:
        queue = self.queue()
        consumers = [self.consumer(queue, transport=self.connect()) for _ in range(3)]
        connections = [self.connect() for _ in range(3)]

        def send(number: int) -> list[bytes]:
            sent = [f"{number}-{index}".encode() for index in range(100)]
            for start in range(0, 100, 5):
                self.publish(queue, *sent[start : start + 5], transport=connections[number])
            return sent

        sending = [partial(send, number) for number in range(3)]
        results = in_threads(sending + [partial(self.drain, one, limit=9, idle_s=1.0) for one in consumers])
        assert sorted(chain.from_iterable(results[3:])) == sorted(chain.from_iterable(results[:3]))

    @needs("many_processes")
    def test_many_processes_share_a_queue_without_seeing_a_message_twice(self) -> None:
        queue = self.queue()
        expected = sorted(str(number) for number in range(400))
        children = [self.child() for _ in range(3)]
        self.publish(queue, *[body.encode() for body in expected])
        for child in children:
            child.begin("drain", queue=queue.name, limit=7, idle_s=0.5)
        got = [child.answer() for child in children]
        assert sorted(chain.from_iterable(got)) == expected

    @needs("many_processes")
    def test_a_waiting_consumer_gets_what_another_process_publishes(self) -> None:
        queue = self.queue()
        child = self.child()
        child.begin("receive", queue=queue.name, limit=1, timeout_s=SOON_S)
        started = time.monotonic()
        self.publish(queue, b"1")
        assert child.answer() == [["1", 1]]
        assert time.monotonic() - started < self.lateness_s + 1.0
        child.call("settle", queue=queue.name)
        assert child.call("publish", queue=queue.name, bodies=["2"]) == 1
        child.close()  # a broker that pushes may have given it to the child
        assert self.drain(self.consumer(queue)) == [b"2"]

    def test_prefetch_is_the_most_that_is_held(self) -> None:
        queue = self.queue()
        self.publish(queue, *[b"x"] * 6)
        consumer = self.consumer(queue, prefetch=2)
        held = self.receive(consumer, 2)
        assert not consumer.receive(5, 0.1)
        consumer.settle(Settlement(acks=held[:1]))
        assert len(consumer.receive(5, SOON_S)) == 1

    # -- settling -----------------------------------------------------------------------------------------------------

    def test_acknowledged_and_rejected_messages_are_gone(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", b"2", b"3")
        consumer = self.consumer(queue)
        one, two, three = self.receive(consumer, 3)
        consumer.settle(Settlement(acks=[one], rejects=[two]))
        consumer.settle(Settlement())
        consumer.close()
        deliveries = self.receive(self.consumer(queue), 1)
        assert bodies(deliveries) == [three.message.body]

    def test_a_requeued_message_comes_again_and_counts(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1")
        consumer = self.consumer(queue)
        held = self.receive(consumer, 1)
        consumer.settle(Settlement(requeues=held))
        [again] = self.receive(consumer, 1)
        assert again.message.body == b"1"
        assert again.redelivered or again.delivery_count == 2
        if self.capabilities.counts_deliveries:
            assert again.delivery_count == 2
            consumer.settle(Settlement(requeues=[again]))
            assert self.receive(consumer, 1)[0].delivery_count == 3

    @needs("counts_deliveries")
    def test_an_uncounted_requeue_is_not_held_against_the_message(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1")
        consumer = self.consumer(queue)
        for _ in range(3):
            held = self.receive(consumer, 1)
            assert held[0].delivery_count == 1
            consumer.settle(Settlement(requeues=held, uncounted=True))

    def test_requeued_messages_wake_a_waiting_consumer(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1")
        first, second = self.consumer(queue), self.consumer(queue, transport=self.connect())
        held = self.receive(first, 1)
        waiting = in_thread(second.receive, 1, SOON_S)
        first.settle(Settlement(requeues=held))
        assert bodies(waiting.result(SOON_S)) == [b"1"]

    def test_settling_twice_is_silent(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", b"2")
        consumer = self.consumer(queue)
        held = self.receive(consumer, 2)
        consumer.settle(Settlement(acks=held[:1]))
        consumer.settle(Settlement(acks=held[:1]))
        consumer.settle(Settlement(requeues=held[:1]))
        consumer.settle(Settlement(rejects=held))
        assert not consumer.receive(1, 0.1)
        assert self.transport.count([queue.name]) == [0]

    def test_settling_what_another_holds_by_now_is_silent_and_harmless(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1")
        first = self.consumer(queue)
        stale = self.receive(first, 1)
        first.close()
        second = self.consumer(queue, transport=self.connect())
        held = self.receive(second, 1)
        # The message is held anew: the old claim must not speak for it, whoever presents it.
        third = self.consumer(queue, transport=self.connect())
        for settlement in (Settlement(acks=stale), Settlement(rejects=stale), Settlement(requeues=stale)):
            second.settle(settlement)
            third.settle(settlement)
        assert not third.receive(1, 0.1)
        second.settle(Settlement(requeues=held))
        assert self.drain(third) == [b"1"]

    @needs("settle_from_any_connection")
    def test_another_connection_settles_while_the_consumer_waits(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", b"2", b"3")
        consumer = self.consumer(queue, transport=self.connect())
        one, two, three = self.receive(consumer, 3)
        waiting = in_thread(consumer.receive, 5, SOON_S)
        self.transport.settle(Settlement(acks=[one], rejects=[two]))
        self.transport.settle(Settlement(acks=[one], rejects=[two]))
        self.transport.settle(Settlement(requeues=[three], uncounted=True))
        assert bodies(waiting.result(SOON_S)) == [b"3"]
        consumer.close()
        assert self.transport.count([queue.name]) == [1]

    @needs("settle_from_any_connection")
    def test_another_connection_passes_over_stale_claims(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1")
        first = self.consumer(queue)
        stale = self.receive(first, 1)
        first.close()
        second = self.consumer(queue, transport=self.connect())
        held = self.receive(second, 1)
        self.transport.settle(Settlement(acks=stale))
        self.transport.settle(Settlement(requeues=stale))
        self.transport.settle(Settlement(rejects=stale))
        assert self.transport.count([queue.name]) == [0]
        second.settle(Settlement(requeues=held))
        assert self.transport.count([queue.name]) == [1]

    @needs("settle_from_any_connection")
    def test_settling_elsewhere_makes_room_within_the_prefetch(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", b"2")
        consumer = self.consumer(queue, transport=self.connect(), prefetch=1)
        held = self.receive(consumer, 1)
        self.transport.settle(Settlement(acks=held))
        assert bodies(self.receive(consumer, 1)) == [b"2"]

    def test_a_settlement_of_many_at_once(self) -> None:
        queue = self.queue()
        self.publish(queue, *[str(number).encode() for number in range(300)])
        consumer = self.consumer(queue)
        held = self.receive(consumer, 300)
        consumer.settle(Settlement(acks=held[:200], rejects=held[200:250], requeues=held[250:]))
        assert sorted(self.drain(consumer)) == sorted(bodies(held[250:]))

    def test_publishing_while_the_connection_consumes(self) -> None:
        queue = self.queue()
        consumer = self.consumer(queue)
        self.publish(queue, b"1")
        held = self.receive(consumer, 1)
        self.transport.publish([self.publication(queue, b"2")], PUBLISH_TIMEOUT_S)
        consumer.settle(Settlement(acks=held))
        assert self.drain(consumer) == [b"2"]
