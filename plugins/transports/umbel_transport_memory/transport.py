"""A connection to a space, and its consumers."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from umbel.exceptions import OperationalError
from umbel.model import Delivery, Publication, Queue, Settlement
from umbel.spi import Consumer, Revocation, RevocationStore, Transport, TransportCapabilities
from umbel_transport_memory.space import Claim, QueueState, Space, find_space, make_delivery

__all__ = ["CAPABILITIES", "MemoryConsumer", "MemoryTransport"]

CAPABILITIES = TransportCapabilities(
    fanout=True,
    keeps_broadcasts=True,
    priorities=True,
    delayed_delivery=True,
    counts_delayed=True,
    counts_deliveries=True,
    settle_from_any_connection=True,
    expires_messages=True,
    umbel_only=True,
    exchange_kinds=frozenset({"direct", "topic", "fanout", "headers"}),
)


class MemoryTransport(Transport, RevocationStore):
    """A connection to the space that *url* names: the text after ``memory://``, slashes at its end taken off."""

    capabilities = CAPABILITIES

    def __init__(self, url: str, app: object = None) -> None:
        self.url = url
        self._app = app
        self._space: Space | None = None

    def open(self, timeout_s: float) -> None:
        if self._space is None:
            space = find_space(self.url.partition("://")[2].partition("?")[0].rstrip("/"), self._app)
            space.check_process()
            self._space = space

    def close(self) -> None:
        self._space = None

    def declare(self, queues: Sequence[Queue]) -> None:
        self._opened().declare(queues)

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        self._opened().publish(publications)

    def consume(self, queues: Sequence[Queue], prefetch: int, name: str) -> MemoryConsumer:
        return MemoryConsumer(self._opened(), queues, prefetch)

    def count(self, queues: Sequence[str]) -> Sequence[int]:
        return self._opened().count(queues)

    def purge(self, queue: str) -> int:
        return self._opened().purge(queue)

    def delete(self, queue: str) -> None:
        self._opened().delete(queue)

    def settle(self, settlement: Settlement) -> None:
        self._opened().settle(settlement)

    def revoke(self, revocations: Sequence[Revocation], expires_s: float) -> None:
        space = self._opened()
        with space.lock:
            space.revoked.add(revocations, expires_s)

    def revocations(self, cursor: Any = None) -> tuple[Sequence[Revocation], Any]:
        space = self._opened()
        with space.lock:
            return space.revoked.since(cursor or 0)

    def _opened(self) -> Space:
        if self._space is None:
            raise OperationalError(f"expected {self.url} to be open, got used before open() or after close()")
        self._space.check_process()
        return self._space


class MemoryConsumer(Consumer):
    """Takes from queues of a space. The lease is the process itself, so there is nothing to renew."""

    def __init__(self, space: Space, queues: Sequence[Queue], prefetch: int) -> None:
        self._space = space
        self._prefetch = prefetch
        self._changed = threading.Condition(space.lock)
        self._held: set[Claim] = set()
        self._queues: list[QueueState] = []
        self._turn = 0
        self._is_woken = False
        self._is_closed = False
        for queue in queues:
            self.add_queue(queue)

    def receive(self, limit: int, timeout_s: float) -> Sequence[Delivery]:
        self._space.check_process()
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (claims := self._claim(limit)):
                left_s = deadline - time.monotonic()
                if self._is_woken or self._is_closed or left_s <= 0:
                    break
                self._changed.wait(min(left_s, self._until_due()))
            self._is_woken = False
        return [make_delivery(claim) for claim in claims]

    def settle(self, settlement: Settlement) -> None:
        self._space.settle(settlement)

    def extend(self) -> None:
        pass

    def wake(self) -> None:
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def add_queue(self, queue: Queue) -> None:
        with self._changed:
            state = self._space.declare_locked(queue)
            if state not in self._queues:
                self._queues.append(state)
                state.listeners[id(self)] = self._changed.notify_all

    def cancel_queue(self, name: str) -> None:
        with self._changed:
            for state in [state for state in self._queues if state.name == name]:
                self._leave(state)

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            held = sorted(self._held, key=lambda claim: claim.entry.place)
            self._held.clear()
            for state in list(self._queues):
                self._leave(state)
            for claim in held:
                claim.held_by = None
                self._space.give_back_locked(claim, uncounted=True)
            self._changed.notify_all()

    def _claim(self, limit: int) -> list[Claim]:
        if self._is_closed:
            return []
        room = limit if not self._prefetch else min(limit, self._prefetch - len(self._held))
        claims: list[Claim] = []
        now = time.time()
        # Another queue comes first each time, so that a full one does not starve the others.
        self._turn += 1
        for number in range(len(self._queues)):
            state = self._queues[(self._turn + number) % len(self._queues)]
            while len(claims) < room and (entry := state.take(now)) is not None:
                entry.deliveries += 1
                claims.append(Claim(entry, state, self._held, self._changed.notify_all))
        self._held.update(claims)
        return claims

    def _until_due(self) -> float:
        dues = [due for state in self._queues if (due := state.next_due()) is not None]
        # The condition counts in monotonic time and may wake a little early: then it waits again.
        return max(0.0, min(dues) - time.time()) if dues else threading.TIMEOUT_MAX

    def _leave(self, state: QueueState) -> None:
        self._queues.remove(state)
        del state.listeners[id(self)]
        if state.is_auto_deleted and not state.listeners and not state.is_deleted:
            self._space.delete_locked(state.name)
