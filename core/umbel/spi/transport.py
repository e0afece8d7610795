"""The contract of a transport: what carries messages between those who call tasks and those who run them."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import attrs

from umbel.model import Delivery, Publication, Queue, Settlement

__all__ = ["Consumer", "Transport", "TransportCapabilities"]


@attrs.frozen(kw_only=True)
class TransportCapabilities:
    """What a transport can do; everything is false unless it is declared, and what is declared is tested.

    * ``fanout``: a queue bound to an exchange of kind ``fanout`` (or ``topic``) gets its own copy of each message.
    * ``keeps_broadcasts``: such a copy waits for a queue whose consumer is away.
    * ``priorities``: a higher ``Publication.priority`` is delivered sooner.
    * ``priority_levels``: how many priorities it can tell apart (10: all; 4: 9, 6, 3 and 0, and none between).
    * ``delayed_delivery``: a message is not delivered before its ``deliver_at``; it waits in the store.
    * ``counts_delayed``: ``count`` and ``purge`` see what is not yet due.
    * ``durable``: messages outlive every process, and a restart of the store.
    * ``many_processes``: processes that use the same URL share the queues.
    * ``leases``: when a consumer's process dies its messages are free again within seconds.
    * ``counts_deliveries``: ``Delivery.delivery_count`` is exact.
    * ``settle_from_any_connection``: ``Transport.settle`` works for deliveries of another connection's consumer.
    * ``expires_messages``: a message past its ``expires_at`` may be dropped unseen.
    * ``umbel_only``: no other program than Umbel reads its messages, so they need not be what Celery understands.
    * ``exchange_kinds``: the kinds of exchange that route as AMQP says.
    """

    fanout: bool = False
    keeps_broadcasts: bool = False
    priorities: bool = False
    priority_levels: int = 10
    delayed_delivery: bool = False
    counts_delayed: bool = False
    durable: bool = False
    many_processes: bool = False
    leases: bool = False
    counts_deliveries: bool = False
    settle_from_any_connection: bool = False
    expires_messages: bool = False
    umbel_only: bool = False
    exchange_kinds: frozenset[str] = frozenset({"direct"})


class Consumer(ABC):
    """Takes messages from queues and holds them, under a lease, until they are settled.

    One thread at a time uses a consumer; only :meth:`wake` may be called from any thread. When a method raises
    :class:`~umbel.exceptions.OperationalError` the connection is lost: the consumer is thrown away, and what it held
    will be delivered again.
    """

    @abstractmethod
    def receive(self, limit: int, timeout_s: float) -> Sequence[Delivery]:
        """Claim up to *limit* messages (at least 1) in one atomic step, waiting up to *timeout_s* for the first.

        What is there is returned at once, however few; an empty answer means that the time is over or that
        :meth:`wake` was called. A stored form that cannot be read comes as a delivery with its ``error`` set.
        """

    @abstractmethod
    def settle(self, settlement: Settlement) -> None:
        """Acknowledge, reject, requeue. A delivery that this consumer no longer owns is passed over silently."""

    @abstractmethod
    def extend(self) -> None:
        """Renew the lease on everything held. Called by the worker every second or so."""

    @abstractmethod
    def wake(self) -> None:
        """Make a blocked (or the next) :meth:`receive` return now. Any thread may call this; it never blocks."""

    @abstractmethod
    def add_queue(self, queue: Queue) -> None:
        """Consume from *queue* too; nothing happens when it is consumed already."""

    @abstractmethod
    def cancel_queue(self, name: str) -> None:
        """Take no more messages from the queue *name*; what is held from it stays held."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is unsettled, uncounted, and let go of the lease. May be called twice."""


class Transport(ABC):
    """One connection to a broker. Blocking; owned by one thread at a time; opened by whoever uses it.

    Made by the hook ``umbel_transport(app, url)``, which must not connect. An answer that does not come in time, a
    refused or lost connection: :class:`~umbel.exceptions.OperationalError`, with the URL's password masked.
    """

    capabilities: ClassVar[TransportCapabilities] = TransportCapabilities()

    @abstractmethod
    def open(self, timeout_s: float) -> None:
        """Connect, within *timeout_s*. Opening what is open does nothing."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect. May be called twice, and on what was never opened. Consumers are closed by their owners."""

    @abstractmethod
    def declare(self, queues: Sequence[Queue]) -> None:
        """See to it that *queues*, their exchanges and their bindings exist. Repeating it changes nothing."""

    @abstractmethod
    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        """Send all of *publications*; on return the broker has them (all or none where it can).

        Raises :class:`~umbel.exceptions.OperationalError` when that is not certain within *timeout_s*.
        """

    @abstractmethod
    def consume(self, queues: Sequence[Queue], prefetch: int, name: str) -> Consumer:
        """Return a consumer of *queues*. *name* is the worker's; *prefetch* the most it will hold (0: no limit)."""

    @abstractmethod
    def count(self, queues: Sequence[str]) -> Sequence[int]:
        """Return how many messages wait in each of *queues*, unclaimed (0 for an unknown queue).

        Those not yet due are counted where the transport has ``counts_delayed``.
        """

    @abstractmethod
    def purge(self, queue: str) -> int:
        """Drop what waits in *queue*, unclaimed, and return how many that were."""

    @abstractmethod
    def delete(self, queue: str) -> None:
        """Remove *queue* with what is in it. Removing an unknown queue does nothing."""

    def within(self, timeout_s: float) -> AbstractContextManager[None]:
        """Return a context in which every method that asks the broker is done, or has raised, within *timeout_s*.

        So that a call's deadline also bounds the declarations before it. Without an implementation the transport's own
        bounds hold.
        """
        return contextlib.nullcontext()

    def settle(self, settlement: Settlement) -> None:
        """Like ``Consumer.settle``, from a connection of its own; only with ``settle_from_any_connection``."""
        raise NotImplementedError(f"{type(self).__name__} settles through its consumer only")

    def allow_unconfirmed(self) -> None:  # noqa: B027 - most have no such setting
        """Let :meth:`publish` return before the broker has answered, as far as the user's settings ask for it.

        Called once, after :meth:`open`, for the connections on which a program makes its calls; never for those of a
        worker, or from inside of a task. Without such a setting it does nothing.
        """

    def in_transaction(self, connection: Any) -> Transport:
        """Return a transport that publishes inside the open transaction of *connection*, which is the driver's.

        For ``apply_async(connection=...)``: where broker and the caller's data are one database, the message exists
        exactly if the data does. Needs no :meth:`open`; the caller commits, rolls back and closes.
        """
        raise TypeError(
            f"expected connection= to be an open umbel transport, got {type(connection).__name__}: "
            f"{type(self).__name__} cannot send inside of a foreign transaction"
        )
