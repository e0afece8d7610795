"""A named space of queues, shared by every connection of this process to it."""

from __future__ import annotations

import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Final

import attrs

from umbel.bindings import Bindings
from umbel.exceptions import EncodeError, OperationalError
from umbel.model import Delivery, Message, Publication, Queue, Settlement
from umbel_transport_memory.revocations import RevocationList

__all__ = ["Claim", "Entry", "QueueState", "Space", "find_space", "make_delivery"]


@attrs.define(eq=False)
class Entry:
    """A message in a queue. *head* is everything but the body, as JSON: what comes out never shares an object with
    what went in, and what another transport could not carry is refused here too.
    """

    head: str
    body: bytes
    exchange: str
    routing_key: str
    priority: int
    place: int
    expires_at: float | None
    deliveries: int = 0


@attrs.define(eq=False)
class QueueState:
    """A queue: what is ready in the order of delivery, and what is not yet due in the order of time."""

    name: str
    message_ttl_s: float | None
    is_auto_deleted: bool
    ready: list[tuple[int, int, Entry]] = attrs.field(factory=list)
    later: list[tuple[float, int, Entry]] = attrs.field(factory=list)
    listeners: dict[int, Callable[[], None]] = attrs.field(factory=dict)
    is_deleted: bool = False

    def put(self, entry: Entry, due: float | None) -> None:
        """Add *entry*; one put back takes its old place."""
        if due is not None and due > time.time():
            heappush(self.later, (due, entry.place, entry))
        else:
            heappush(self.ready, (-entry.priority, entry.place, entry))

    def take(self, now: float) -> Entry | None:
        """Remove and return the next entry that is due and alive."""
        while self.later and self.later[0][0] <= now:
            _, place, entry = heappop(self.later)
            heappush(self.ready, (-entry.priority, place, entry))
        while self.ready:
            entry = heappop(self.ready)[2]
            if entry.expires_at is None or entry.expires_at > now:
                return entry
        return None

    def next_due(self) -> float | None:
        """Return when the first delayed entry is due."""
        return self.later[0][0] if self.later else None

    def size(self) -> int:
        """Return how many entries wait."""
        return len(self.ready) + len(self.later)

    def clear(self) -> int:
        """Drop what waits; return how many that were."""
        dropped = self.size()
        self.ready.clear()
        self.later.clear()
        return dropped


@attrs.define(eq=False)
class Claim:
    """The tag of a delivery: which entry is held. *held_by* is emptied when the claim ends, so a stale one does nothing."""

    entry: Entry
    queue: QueueState
    held_by: set[Claim] | None
    made_room: Callable[[], None]


class Space:
    """Queues and exchanges under one lock. Every method is thread-safe."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.Lock()
        self._pid = os.getpid()
        self._queues: dict[str, QueueState] = {}
        self._bindings = Bindings()
        self._places = count()
        #: What is revoked; to be used with the lock held.
        self.revoked = RevocationList()

    def check_process(self) -> None:
        """Raise ``OperationalError`` in a process that inherited this space by a fork: nobody else would see its changes."""
        if os.getpid() != self._pid:
            raise OperationalError(
                f"expected memory://{self.name} to be used in the process {self._pid} that made it, got used in its "
                f"forked child {os.getpid()}: choose a pool that lives in the worker (threads, asyncio, solo), or a "
                "transport that processes can share (sqlite, filesystem)"
            )

    def declare(self, queues: Iterable[Queue]) -> None:
        """Make *queues* and their bindings."""
        with self.lock:
            for queue in queues:
                self.declare_locked(queue)

    def declare_locked(self, queue: Queue) -> QueueState:
        """Like :meth:`declare`, for one queue, with the lock held."""
        state = self._queues.get(queue.name)
        if state is None:
            state = self._queues[queue.name] = QueueState(queue.name, queue.message_ttl_s, queue.auto_delete)
        self._bindings.declare(queue)
        return state

    def publish(self, publications: Sequence[Publication]) -> None:
        """Put *publications* into their queues and wake those who wait for them."""
        heads = [_encode(publication.message) for publication in publications]
        with self.lock:
            touched: dict[str, QueueState] = {}
            for publication, head in zip(publications, heads, strict=True):
                for state in self._targets(publication):
                    self._put(state, publication, head)
                    touched[state.name] = state
            for state in touched.values():
                _ring(state)

    def settle(self, settlement: Settlement) -> None:
        """Apply *settlement*, whoever holds the deliveries; stale claims are passed over."""
        with self.lock:
            for delivery in (*settlement.acks, *settlement.rejects):
                _release(delivery.tag)
            for delivery in settlement.requeues:
                claim = delivery.tag
                if _release(claim):
                    self.give_back_locked(claim, settlement.requeue_at, uncounted=settlement.uncounted)

    def give_back_locked(self, claim: Claim, due: float | None = None, *, uncounted: bool) -> None:
        """Put a released entry back into its queue, with the lock held."""
        if claim.queue.is_deleted:
            return
        if uncounted:
            claim.entry.deliveries -= 1
        claim.queue.put(claim.entry, due)
        _ring(claim.queue)

    def count(self, names: Sequence[str]) -> list[int]:
        """Return how many entries wait in each of the queues *names*."""
        with self.lock:
            return [state.size() if (state := self._queues.get(name)) else 0 for name in names]

    def purge(self, name: str) -> int:
        """Drop what waits in the queue *name*."""
        with self.lock:
            state = self._queues.get(name)
            return state.clear() if state else 0

    def delete(self, name: str) -> None:
        """Remove the queue *name*."""
        with self.lock:
            self.delete_locked(name)

    def delete_locked(self, name: str) -> None:
        """Like :meth:`delete`, with the lock held."""
        state = self._queues.pop(name, None)
        if state is not None:
            state.is_deleted = True
            state.clear()
            self._bindings.forget(name)

    def _targets(self, publication: Publication) -> list[QueueState]:
        queue = publication.queue
        if queue is not None and queue.name not in self._queues:
            self.declare_locked(queue)
        if publication.exchange:
            names = self._bindings.route(publication.exchange, publication.routing_key, publication.message.headers)
        else:  # the default exchange: the routing key is a queue's name
            names = (publication.routing_key,) if publication.routing_key in self._queues else ()
        if not names and queue is not None:
            names = (queue.name,)  # better in the queue that routing chose than lost
        return [self._queues[name] for name in names]

    def _put(self, state: QueueState, publication: Publication, head: str) -> None:
        expires_at = publication.expires_at
        if state.message_ttl_s is not None:
            dies_at = time.time() + state.message_ttl_s
            expires_at = dies_at if expires_at is None else min(expires_at, dies_at)
        entry = Entry(
            head,
            publication.message.body,
            publication.exchange,
            publication.routing_key,
            publication.priority or 0,
            next(self._places),
            expires_at,
        )
        state.put(entry, publication.deliver_at)


def _ring(state: QueueState) -> None:
    # All who consume the queue: which of them has room, and who else will wake it, is not known here.
    for notify in state.listeners.values():
        notify()


def _release(claim: object) -> bool:
    """End *claim*; say whether it was still held."""
    if not isinstance(claim, Claim) or claim.held_by is None:
        return False
    claim.held_by.discard(claim)
    claim.held_by = None
    claim.made_room()
    return True


def _encode(message: Message) -> str:
    try:
        return json.dumps((message.headers, message.properties, message.content_type, message.content_encoding))
    except (TypeError, ValueError) as error:
        raise EncodeError(
            f"expected the headers and properties of a message to hold JSON types, got {error}: convert the value "
            "to text, or pass it as an argument of the task"
        ) from error


def make_delivery(claim: Claim) -> Delivery:
    """Return the delivery of a claimed entry."""
    entry = claim.entry
    headers, properties, content_type, content_encoding = json.loads(entry.head)
    return Delivery(
        Message(entry.body, headers, properties, content_type, content_encoding),
        claim.queue.name,
        claim,
        entry.exchange,
        entry.routing_key,
        entry.priority,
        entry.deliveries,
        entry.deliveries > 1,
    )


class _Spaces:
    """The spaces of this process, by name. Each lives as long as an application that used it, or a connection to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: weakref.WeakValueDictionary[str, Space] = weakref.WeakValueDictionary()
        self._kept_by: weakref.WeakKeyDictionary[object, set[Space]] = weakref.WeakKeyDictionary()
        # Another thread may hold the lock while this one forks.
        os.register_at_fork(after_in_child=self._renew_lock)

    def find(self, name: str, app: object) -> Space:
        """Return the space *name*, made when it is first asked for, and kept for *app*."""
        with self._lock:
            space = self._by_name.get(name)
            if space is None:
                space = self._by_name[name] = Space(name)
            # Without an application it stays for good.
            self._kept_by.setdefault(app or self, set()).add(space)
            return space

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()


_spaces: Final = _Spaces()
#: Returns the space of a name, made when it is first asked for, and kept for an application.
find_space: Final = _spaces.find
