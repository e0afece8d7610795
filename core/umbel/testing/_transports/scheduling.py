"""When a message comes: not before its time, the urgent first, never the expired."""

from __future__ import annotations

import time

from umbel.model import Settlement
from umbel.testing._transports.stage import PUBLISH_TIMEOUT_S, SOON_S, TransportStage, bodies
from umbel.testing.capabilities import needs
from umbel.testing.threads import in_thread

__all__ = ["SchedulingTests"]


class SchedulingTests(TransportStage):
    """Delays, priorities, expiry."""

    def _prepare_delays(self) -> None:
        """Let the store do what its first delayed message needs: that may take longer than a short delay."""
        self.publish(self.queue("prepared"), b"much later", deliver_at=time.time() + 60)

    @needs("delayed_delivery")
    def test_a_delayed_message_comes_at_its_time_and_not_before(self) -> None:
        queue = self.queue()
        consumer = self.consumer(queue)
        self._prepare_delays()
        due = time.time() + 0.7
        self.publish(queue, b"later", deliver_at=due)
        self.publish(queue, b"now")
        if self.capabilities.counts_delayed:
            assert self.transport.count([queue.name]) == [2]
        assert bodies(consumer.receive(5, SOON_S)) == [b"now"]
        assert bodies(consumer.receive(5, SOON_S)) == [b"later"]
        assert due <= time.time() < due + self.lateness_s

    @needs("delayed_delivery")
    def test_a_waiting_consumer_learns_of_an_earlier_time(self) -> None:
        queue = self.queue()
        consumer = self.consumer(queue)
        self.publish(queue, b"much later", deliver_at=time.time() + 60)
        waiting = in_thread(consumer.receive, 5, SOON_S)
        due = time.time() + 0.3
        self.publish(queue, b"soon", deliver_at=due, transport=self.connect())
        assert bodies(waiting.result(SOON_S)) == [b"soon"]
        assert due <= time.time() < due + self.lateness_s

    @needs("delayed_delivery")
    def test_delayed_messages_come_in_the_order_of_their_times(self) -> None:
        queue = self.queue()
        self._prepare_delays()
        now = time.time()
        for delay_s in (0.5, 0.1, 0.3):
            self.publish(queue, str(delay_s).encode(), deliver_at=now + delay_s)
        consumer = self.consumer(queue)
        got = [bodies(self.receive(consumer, 1))[0] for _ in range(3)]
        assert got == [b"0.1", b"0.3", b"0.5"]

    @needs("delayed_delivery")
    def test_a_time_that_is_over_means_now(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", deliver_at=time.time() - 3600)
        self.publish(queue, b"2", deliver_at=0)
        assert sorted(bodies(self.receive(self.consumer(queue), 2, 1.0))) == [b"1", b"2"]

    @needs("delayed_delivery")
    def test_a_message_may_be_requeued_for_later(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1")
        consumer = self.consumer(queue)
        held = self.receive(consumer, 1)
        due = time.time() + 0.4
        consumer.settle(Settlement(requeues=held, requeue_at=due, uncounted=True))
        if self.capabilities.counts_delayed:
            assert self.transport.count([queue.name]) == [1]
        [again] = consumer.receive(1, SOON_S)
        assert again.message.body == b"1"
        assert due <= time.time() < due + self.lateness_s

    @needs("delayed_delivery", "counts_delayed")
    def test_purge_takes_what_is_not_yet_due(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", b"2", deliver_at=time.time() + 60)
        assert self.transport.purge(queue.name) == 2

    @needs("delayed_delivery")
    def test_delete_takes_what_is_not_yet_due(self) -> None:
        queue = self.queue()
        self.publish(queue, b"3", deliver_at=time.time() + 0.1)
        self.transport.delete(queue.name)
        self.queue()
        assert not self.consumer(queue).receive(1, 0.4)

    @needs("delayed_delivery", "counts_deliveries")
    def test_waiting_for_its_time_is_not_a_delivery(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", deliver_at=time.time() + 0.2)
        self.consumer(queue).close()
        assert self.receive(self.consumer(queue), 1)[0].delivery_count == 1

    @needs("priorities")
    def test_the_higher_priority_comes_first(self) -> None:
        queue = self.queue(max_priority=9)
        low, middle, high, highest = self._priorities()
        order = (low, highest, high, middle, highest, low)
        for priority in order:
            self.publish(queue, str(priority).encode(), priority=priority)
        consumer = self.consumer(queue, prefetch=1)
        got = []
        for _ in range(6):
            held = self.receive(consumer, 1)
            got.append((held[0].message.body, held[0].priority))
            consumer.settle(Settlement(acks=held))
        assert got == [(str(priority).encode(), priority) for priority in sorted(order, reverse=True)]

    def _priorities(self) -> tuple[int, int, int, int]:
        """Return four priorities that the transport tells apart."""
        return (0, 3, 5, 9) if self.capabilities.priority_levels >= 10 else (0, 3, 6, 9)

    @needs("priorities")
    def test_order_is_kept_within_a_priority(self) -> None:
        queue = self.queue(max_priority=9)
        levels = self._priorities()
        self.transport.publish(
            [self.publication(queue, f"{index}".encode(), priority=levels[index % 3]) for index in range(30)],
            PUBLISH_TIMEOUT_S,
        )
        got = [int(body) for body in self.drain(self.consumer(queue))]
        assert got == sorted(range(30), key=lambda index: (-(index % 3), index))

    @needs("priorities")
    def test_an_urgent_message_overtakes_those_that_wait(self) -> None:
        queue = self.queue(max_priority=9)
        consumer = self.consumer(queue, prefetch=1)
        low, _, high, _ = self._priorities()
        self.publish(queue, b"low 1", b"low 2", priority=low)
        first = self.receive(consumer, 1)
        self.publish(queue, b"high", priority=high)
        consumer.settle(Settlement(acks=first))
        second = self.receive(consumer, 1)
        consumer.settle(Settlement(acks=second))
        assert bodies(first + second + self.receive(consumer, 1)) == [b"low 1", b"high", b"low 2"]

    @needs("priorities", "counts_deliveries")
    def test_a_requeued_message_keeps_its_priority(self) -> None:
        queue = self.queue(max_priority=9)
        low, _, high, _ = self._priorities()
        self.publish(queue, b"high", priority=high)
        consumer = self.consumer(queue, prefetch=1)
        held = self.receive(consumer, 1)
        self.publish(queue, b"low", priority=low)
        consumer.settle(Settlement(requeues=held))
        [again] = self.receive(consumer, 1)
        assert (again.message.body, again.priority) == (b"high", high)

    @needs("expires_messages")
    def test_an_expired_message_is_not_delivered(self) -> None:
        queue = self.queue()
        self.publish(queue, b"dead", expires_at=time.time() - 1)
        self.publish(queue, b"dying", expires_at=time.time() + 0.2)
        self.publish(queue, b"alive", expires_at=time.time() + 60)
        self.publish(queue, b"immortal")
        consumer = self.consumer(queue, prefetch=0)
        waiting = self.consumer(self.queue("clock"))
        assert not waiting.receive(1, 0.3)
        assert self.drain(consumer) == [b"alive", b"immortal"]

    @needs("expires_messages")
    def test_a_held_message_does_not_expire_under_its_consumer(self) -> None:
        queue = self.queue()
        self.publish(queue, b"1", expires_at=time.time() + 0.3)
        consumer = self.consumer(queue)
        held = self.receive(consumer, 1)
        assert not consumer.receive(1, 0.4)
        consumer.settle(Settlement(acks=held))
        assert self.transport.count([queue.name]) == [0]
