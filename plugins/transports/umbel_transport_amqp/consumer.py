"""The consumer: a channel to which the broker pushes, read without blocking longer than asked."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import select
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from umbel.exceptions import OperationalError, TransportError
from umbel.model import Delivery, Publication, Queue, Settlement
from umbel.spi import Consumer
from umbel_transport_amqp.frames import ack_frame, nack_frame, reject_frame
from umbel_transport_amqp.inbox import Inbox
from umbel_transport_amqp.publishing import Publisher, again
from umbel_transport_amqp.settings import AmqpSettings
from umbel_transport_amqp.topology import Topology
from umbel_transport_amqp.window import Window
from umbel_transport_amqp.wire import Wire

__all__ = ["AmqpConsumer"]

logger = logging.getLogger("umbel.transport.amqp")

#: Of requeued messages: the intake waits for it, and the broker may be blocked by an alarm.
_PUBLISH_TIMEOUT_S: Final = 4.0
_GIVE_BACK_TIMEOUT_S: Final = 4.0
_LATE_S: Final = 0.05
_MOST_TAGS: Final = 100
_owners = itertools.count(1)


class AmqpConsumer(Consumer):
    """See :class:`~umbel.spi.Consumer`. Its lease is its connection: when that ends, the broker gives back what it held."""

    def __init__(
        self, url: str, settings: AmqpSettings, queues: Sequence[Queue], prefetch: int, timeout_s: float
    ) -> None:
        self._settings = settings
        self._wire = Wire(url, settings, timeout_s, heartbeat_s=settings.heartbeat_s)
        self._topology = Topology(self._wire, settings.delayed_queue_type)
        # Apart from the connection that consumes, since an alarm stops connections that publish.
        self._open_publisher: Callable[[], Wire] = lambda: Wire(url, settings, timeout_s)
        self._publishing: tuple[Wire, Publisher] | None = None
        self._prefetch = prefetch
        self._window = Window(prefetch, settings.prefetch_max)
        self._queues: dict[str, Queue] = {}
        self._declared: dict[str, Queue] = {}  # those too that were cancelled: messages of theirs may still be held
        self._subscriptions: dict[str, Queue] = {}  # by consumer tag
        self._tags: dict[
            str, Queue
        ] = {}  # of earlier ones too: quorum queues send what was on its way after the answer
        self._serial = 0
        with self._wire.guarded("open a channel on"):
            self._channel_id: int = self._wire.channel.channel_id
        self._inbox = Inbox(next(_owners), self._channel_id, self._tags)
        self._wire.amqp.sinks[self._channel_id] = self._inbox.take
        self._wire.amqp.take_run = self._inbox.take_run
        self._bell_out, self._bell_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._bell_out, select.POLLIN)
        self._poll.register(self._wire.amqp.sock, select.POLLIN)
        self._closed = False
        for queue in queues:
            self.add_queue(queue)

    # -- receiving ----------------------------------------------------------------------------------------------------

    def receive(self, limit: int, timeout_s: float) -> Sequence[Delivery]:
        """Hand out what was pushed, or wait for it."""
        deadline = time.monotonic() + timeout_s
        inbox = self._inbox
        if self._prefetch:
            limit = min(limit, self._prefetch - inbox.held)
        if limit > 0 and self._window.must_change(limit, inbox.held):
            self._change_window(limit)
        left = 0.0  # at first only what is there
        while True:
            rang = self._read(left) if len(inbox.arrived) < limit or left or limit <= 0 else False
            if inbox.cancelled:
                self._resume_cancelled()
            if limit > 0 and inbox.arrived:
                found, dead = inbox.hand_out(limit)
                if dead:
                    self.settle(Settlement(rejects=dead))
                if found:
                    return found
            left = deadline - time.monotonic()
            if rang or left <= 0:
                return ()

    def _read(self, timeout_s: float) -> bool:
        """Take in what has come, waiting up to *timeout_s* for it; say whether :meth:`wake` was called."""
        wire = self._wire
        if wire.heartbeat_s:
            wire.beat()
            timeout_s = min(timeout_s, wire.heartbeat_s / 4)
        with wire.guarded("consume from"):
            events = self._poll.poll(0 if wire.amqp.handle_buffered() else timeout_s * 1000)
            for descriptor, _ in events:
                if descriptor != self._bell_out:
                    wire.amqp.read_ready()
        if timeout_s and any(descriptor == self._bell_out for descriptor, _ in events):
            os.read(self._bell_out, 4096)
            return True
        return False

    def wake(self) -> None:
        """Make ``receive`` return."""
        with contextlib.suppress(OSError):  # full: it is awake already; closed: nobody sleeps
            os.write(self._bell_in, b"!")

    def extend(self) -> None:
        """Keep the connection alive: it is the lease."""
        self._read(0)

    # -- subscriptions ------------------------------------------------------------------------------------------------

    def _change_window(self, limit: int) -> None:
        """Set the window anew; it takes effect with a new consumer."""
        self._let_arrive()
        with self._wire.guarded("set the prefetch count on"):
            channel = self._wire.channel
            changing = [tag for tag, queue in self._subscriptions.items() if not _is_bound_to_its_consumer(queue)]
            for tag in changing:
                channel.basic_cancel(tag)
            again_for = [self._subscriptions.pop(tag) for tag in changing]
            inbox = self._inbox
            if inbox.cancelled:  # of those, some were deleted meanwhile
                inbox.cancelled = [tag for tag in inbox.cancelled if tag not in changing]
                self._declare_again(again_for)
            size = self._window.change(limit, inbox.held, len(inbox.unsettled), inbox.last_tag)
            channel.basic_qos(0, size, False)
            subscribed = {queue.name for queue in (*self._subscriptions.values(), *again_for)}
            for queue in (*again_for, *(queue for name, queue in self._queues.items() if name not in subscribed)):
                self._subscribe(channel, queue)

    def _let_arrive(self) -> None:
        """Before cancelling a consumer of a quorum queue: RabbitMQ would keep what is on its way until the channel ends.

        Nothing is acknowledged meanwhile, so it sends no more than its window.
        """
        if any(queue.queue_arguments.get("x-queue-type") == "quorum" for queue in self._subscriptions.values()):
            late = time.monotonic() + _LATE_S
            rang = False
            while (left := late - time.monotonic()) > 0:
                rang |= self._read(left)
            if rang:
                self.wake()  # it was meant for receive

    def _subscribe(self, channel: Any, queue: Queue) -> None:
        self._serial += 1
        tag = f"umbel{self._serial}"
        self._subscriptions[tag] = self._tags[tag] = queue  # before the answer, since messages may come with it
        if len(self._tags) > _MOST_TAGS + len(self._subscriptions):
            del self._tags[next(tag for tag in self._tags if tag not in self._subscriptions)]
        arguments = dict(queue.consumer_arguments)
        if not queue.no_ack and self._settings.consumer_timeout_s:
            # The lease is the connection: a task that runs for hours is none of the broker's business. Older ones ignore it.
            arguments.setdefault("x-consumer-timeout", int(self._settings.consumer_timeout_s * 1000))
        channel.basic_consume(queue=queue.name, consumer_tag=tag, no_ack=queue.no_ack, arguments=arguments or None)

    def _resume_cancelled(self) -> None:
        """Consume again from queues that were deleted, or whose broker node has gone, under this consumer."""
        cancelled, self._inbox.cancelled = self._inbox.cancelled, []
        for tag in cancelled:
            queue = self._subscriptions.pop(tag, None)
            if queue is not None and queue.name in self._queues:
                self._declare_again([queue])
                with self._wire.guarded("consume from"):
                    self._subscribe(self._wire.channel, queue)

    def _declare_again(self, queues: Sequence[Queue]) -> None:
        self._topology.forget()
        for queue in queues:
            self._topology.declare(queue)

    def add_queue(self, queue: Queue) -> None:
        """Consume from *queue* too; the first ``receive`` begins, since it tells how many are wanted."""
        if queue.name in self._queues:
            return
        self._topology.declare(queue)
        self._queues[queue.name] = self._declared[queue.name] = queue
        if self._window.is_set:
            with self._wire.guarded("consume from"):
                self._subscribe(self._wire.channel, queue)

    def cancel_queue(self, name: str) -> None:
        """Take no more from the queue *name*."""
        if self._queues.pop(name, None) is None:
            return
        self._let_arrive()
        with self._wire.guarded("cancel a consumer of"):
            for tag in [tag for tag, queue in self._subscriptions.items() if queue.name == name]:
                self._wire.channel.basic_cancel(tag)
                del self._subscriptions[tag]
        self.settle(Settlement(requeues=self._inbox.withdraw(name), uncounted=True))

    # -- settling -----------------------------------------------------------------------------------------------------

    def settle(self, settlement: Settlement) -> None:
        """Acknowledge in runs; requeue with a count by publishing anew before the acknowledgement."""
        inbox = self._inbox
        acks = [delivery.tag[1] for delivery in settlement.acks if inbox.settle(delivery)]
        rejects = [delivery.tag[1] for delivery in settlement.rejects if inbox.settle(delivery)]
        back = [delivery for delivery in settlement.requeues if inbox.settle(delivery)]
        anew = back if settlement.requeue_at is not None or not settlement.uncounted else self._counted_on_return(back)
        if anew and self._publish([self._again(delivery, settlement) for delivery in anew]):
            acks += [delivery.tag[1] for delivery in anew]
            back = [delivery for delivery in back if delivery not in anew]
        frames = [reject_frame(self._channel_id, tag) for tag in rejects]
        frames += [nack_frame(self._channel_id, delivery.tag[1]) for delivery in reversed(back)]
        frames += self._acknowledgements(sorted(acks))
        for tag in (*acks, *rejects, *(delivery.tag[1] for delivery in back)):
            self._window.settle(tag)
        if frames:
            with self._wire.guarded("settle with"):
                self._wire.amqp.send_frames(b"".join(frames))

    def _acknowledgements(self, tags: Sequence[int]) -> list[bytes]:
        """Return one frame for all of *tags* that are older than everything still held, one each for the rest."""
        oldest = next(iter(self._inbox.unsettled), None)
        first_later = len(tags)
        if oldest is not None:
            first_later = next((index for index, tag in enumerate(tags) if tag > oldest), first_later)
        frames = [ack_frame(self._channel_id, tags[first_later - 1], multiple=True)] if first_later else []
        return frames + [ack_frame(self._channel_id, tag, multiple=False) for tag in tags[first_later:]]

    def _again(self, delivery: Delivery, settlement: Settlement) -> Publication:
        deliveries = delivery.delivery_count - 1 if settlement.uncounted else delivery.delivery_count
        queue = self._declared.get(delivery.queue) or Queue(name=delivery.queue)
        return again(delivery, settlement.requeue_at, queue, deliveries)

    def _counted_on_return(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return those whose queue counts every return as a failure: quorum queues before RabbitMQ 4.3.

        After 20 of them RabbitMQ 4 drops the message, and it may never have been started: it is sent anew instead.
        """
        return [delivery for delivery in deliveries if self._is_counting(self._declared.get(delivery.queue))]

    def _is_counting(self, queue: Queue | None) -> bool:
        is_quorum = queue is not None and queue.queue_arguments.get("x-queue-type") == "quorum"
        return is_quorum and self._wire.server_version < (4, 3)

    def _publish(self, publications: Sequence[Publication]) -> bool:
        """Publish; say whether the broker has it all. If not they go back as they are, for which no alarm blocks it."""
        try:
            if self._publishing is None or not self._publishing[0].is_usable:
                wire = self._open_publisher()
                self._publishing = (wire, Publisher(wire, Topology(wire, self._settings.delayed_queue_type)))
            self._publishing[1].publish(publications, _PUBLISH_TIMEOUT_S)
        except OperationalError as error:
            logger.warning("%d messages go back to RabbitMQ at once, and uncounted: %s", len(publications), error)
            return False
        return True

    def _give_back(self) -> None:
        """Before the end: send anew what the end of the connection would be held against."""
        counting = [name for name, queue in self._queues.items() if self._is_counting(queue)]
        if not counting or not self._wire.is_usable:
            return
        deadline = time.monotonic() + _GIVE_BACK_TIMEOUT_S
        with contextlib.suppress(OperationalError, TransportError), self._wire.within(deadline):
            for name in counting:
                self.cancel_queue(name)
            counted = self._counted_on_return(list(self._inbox.unsettled.values()))
            if counted:
                self.settle(Settlement(requeues=counted, uncounted=True))

    def close(self) -> None:
        """Give back what is held: the broker does, when the connection closes."""
        if self._closed:
            return
        self._closed = True
        self._give_back()
        with contextlib.suppress(OperationalError):
            self._wire.close()
        if self._publishing is not None:
            self._publishing[0].close()
        os.close(self._bell_in)
        os.close(self._bell_out)


def _is_bound_to_its_consumer(queue: Queue) -> bool:
    """Say whether *queue* would go with its consumer, or knows no window."""
    return queue.no_ack or queue.auto_delete or queue.exclusive
