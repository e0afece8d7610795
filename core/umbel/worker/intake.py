"""The belt that brings messages in: it owns the consumer, and claims what the worker can soon start.

Its loop never blocks longer than a second, so that leases are renewed while it waits for room or for messages. When the
connection is lost the consumer is thrown away and a new one built, after a pause that grows.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from umbel.exceptions import OperationalError
from umbel.model import Delivery, Queue, Settlement
from umbel.spi import Consumer, Transport
from umbel.urls import mask_url
from umbel.worker.backoff import Backoff

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Intake"]

logger = logging.getLogger("umbel.worker.intake")

_EXTEND_EVERY_S = 1.0
#: So soon after its return a broker is tried again, however long it was away.
_LONGEST_PAUSE_S = 3.0


class Intake:
    """Takes messages from *queues* and gives each batch to *take*, in a thread of its own.

    *room* says how many messages may come now (0: none). *take* gets the deliveries, the consumer's generation and the
    transport; *ready* is called with the transport after each connect, *fatal* with a reason when there is no going on.
    """

    def __init__(
        self,
        app: Umbel,
        node: str,
        queues: Sequence[Queue],
        room: Callable[[], int],
        take: Callable[[Sequence[Delivery], int, Transport], None],
        ready: Callable[[Transport], None],
        fatal: Callable[[str], None],
    ) -> None:
        self.queues = {queue.name: queue for queue in queues}
        self.generation = 0
        self.reconnects = 0
        self.last_poll = 0.0
        self.is_connected = False
        self._app = app
        self._node = node
        self._room = room
        self._take = take
        self._ready = ready
        self._fatal = fatal
        self._consumer: Consumer | None = None
        self._thread: threading.Thread | None = None
        self._paused = False
        self._closing = threading.Event()
        self._room_may_have_changed = threading.Event()
        self._taking = threading.Lock()
        self._requests: collections.deque[Callable[[Consumer], None]] = collections.deque()
        self._backoff = Backoff(0.25, _LONGEST_PAUSE_S)
        self._was_connected = False
        #: Called in the thread when the connection is lost, before the first try to make a new one.
        self.on_lost: Callable[[], object] = bool
        self._lost_at: float | None = None

    # -- any thread ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, which connects."""
        self._thread = threading.Thread(target=self._run, name="umbel-intake", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Claim no more; on return nothing more is given to *take*. Leases are still renewed and settlements made."""
        self._paused = True
        self._wake()
        with self._taking:
            pass

    def resume(self) -> None:
        """Claim again."""
        self._paused = False
        self._wake()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Close the consumer, which gives back what is unsettled, and end the thread. May be called twice."""
        self._paused = True
        self._closing.set()
        self._wake()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def notice_room(self) -> None:
        """Say that there may be more room; cheap enough to be called for every batch."""
        event = self._room_may_have_changed
        if not event.is_set():
            event.set()

    def settle(self, settlement: Settlement, generation: int | None = None) -> None:
        """Have the consumer settle; for transports where nobody else can. What an earlier consumer held is left."""
        wanted = self.generation if generation is None else generation

        def apply(consumer: Consumer) -> None:
            if wanted == self.generation:
                consumer.settle(settlement)

        self._request(apply)

    def add_queue(self, queue: Queue) -> None:
        """Take messages from *queue* too, now and after every reconnect."""
        self.queues[queue.name] = queue
        self._request(lambda consumer: consumer.add_queue(queue))

    def cancel_queue(self, name: str) -> None:
        """Take no more messages from the queue *name*."""
        self.queues.pop(name, None)
        self._request(lambda consumer: consumer.cancel_queue(name))

    def _request(self, apply: Callable[[Consumer], None]) -> None:
        self._requests.append(apply)
        self._wake()

    def _wake(self) -> None:
        self._room_may_have_changed.set()
        consumer = self._consumer
        if consumer is not None:
            consumer.wake()

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing.is_set():
            transport: Transport | None = None
            lost: OperationalError | None = None
            try:
                transport = self._connect()
                self._consume(transport)
            except OperationalError as error:
                lost = error
            except Exception as error:  # not the connection: going on would hide a fault of ours or of the plugin
                logger.critical("the intake failed", exc_info=True)
                self._fatal(f"the intake failed: {error!r}")
                self._closing.wait(60.0)
                self._closing.set()
            finally:
                self._disconnect(transport)
            if lost is not None:  # after what was open is closed: what it held is free while this waits
                self._lost(lost)

    def _connect(self) -> Transport:
        transport = self._app.open_transport()
        try:
            queues = list(self.queues.values())
            transport.declare(queues)
            consumer = transport.consume(queues, 0, self._node)
        except BaseException:
            with contextlib.suppress(Exception):
                transport.close()
            raise
        self._requests.clear()  # they were about the consumer before, or are in self.queues
        self.generation += 1
        self.reconnects += 1 if self._was_connected else 0
        self._consumer = consumer
        self.is_connected = self._was_connected = True
        logger.info("Connected to %s", mask_url(self._app.broker_url))
        self._ready(transport)
        return transport

    def _disconnect(self, transport: Transport | None) -> None:
        consumer, self._consumer = self._consumer, None
        self.is_connected = False
        for each in (consumer, transport):
            if each is not None:
                try:
                    each.close()
                except Exception as error:  # a socket error must not prevent reconnecting, nor shutdown [B981] [B985]
                    logger.debug("closing %s: %r", type(each).__name__, error)

    def _lost(self, error: OperationalError) -> None:
        conf = self._app.conf
        if self._closing.is_set():
            return
        may_retry = conf.broker_connection_retry
        if not self._was_connected and conf.broker_connection_retry_on_startup is not None:
            may_retry = conf.broker_connection_retry_on_startup
        most = conf.broker_connection_max_retries
        tries = self._backoff.tries
        if not may_retry or (most and self._backoff.counted >= most):
            self._fatal(f"cannot connect to {mask_url(self._app.broker_url)}: {error}")
            self._closing.wait(60.0)
            self._closing.set()
            return
        pause_s = self._backoff.next_s()
        if self._lost_at is None:
            self.on_lost()
            self._lost_at = self.last_poll or time.monotonic()  # since when it may have been away
        logger.error(
            "%s %s: %s. Trying again in %.2f seconds... (%d/%s)",
            "lost the connection to" if self._was_connected and tries == 0 else "cannot connect to",
            mask_url(self._app.broker_url),
            str(error).rstrip("."),
            pause_s,
            self._backoff.counted,
            most or "no limit",
        )
        self._closing.wait(pause_s)

    def _consume(self, transport: Transport) -> None:
        consumer = self._consumer
        assert consumer is not None
        extend_at = time.monotonic() + _EXTEND_EVERY_S
        while not self._closing.is_set():
            while self._requests:
                self._requests.popleft()(consumer)
            now = self.last_poll = time.monotonic()
            if now >= extend_at:
                consumer.extend()
                extend_at = now + _EXTEND_EVERY_S
            self._room_may_have_changed.clear()
            room = 0 if self._paused else self._room()
            if room > 0:
                deliveries = consumer.receive(room, max(0.0, extend_at - now))
                self._backoff.reset()  # only now: a broker that takes connections and breaks them is not back
                if self._lost_at is not None:
                    self._tell_of_recovery(self._lost_at)
                if deliveries:
                    self._hand_on(deliveries, consumer, transport)
            elif not self._requests:
                self._room_may_have_changed.wait(max(0.0, extend_at - now))
        while self._requests:
            self._requests.popleft()(consumer)

    def _tell_of_recovery(self, lost_at: float) -> None:
        self._lost_at = None
        url = mask_url(self._app.broker_url)
        logger.warning("%s takes messages again from %s, after %.1f s", self._node, url, time.monotonic() - lost_at)

    def _hand_on(self, deliveries: Sequence[Delivery], consumer: Consumer, transport: Transport) -> None:
        with self._taking:
            if not self._paused:
                self._take(deliveries, self.generation, transport)
                return
        consumer.settle(Settlement(requeues=deliveries, uncounted=True))
