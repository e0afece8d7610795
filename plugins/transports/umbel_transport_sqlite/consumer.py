"""The consumer: claims, waits without polling, keeps its lease."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Sequence
from typing import Any, Final

from umbel.doorbell import Doorbell
from umbel.exceptions import OperationalError
from umbel.model import Delivery, Queue, Settlement
from umbel.spi import Consumer
from umbel.sqlite_file import SqliteFile, transaction
from umbel_transport_sqlite import claiming, leases, places
from umbel_transport_sqlite.publishing import LOOK_AGAIN_S, Ringer
from umbel_transport_sqlite.topology import Topology, number_of, topic_of
from umbel_transport_sqlite.translating import translated

__all__ = ["SqliteConsumer"]

#: How soon a consumer that holds all it may looks whether something was settled elsewhere.
_FULL_PAUSE_S: Final = 0.02
#: How many consumers look after the dead each second, however many there are.
_KEEPERS: Final = 8
_MOST_CLAIMS: Final = (1 << claiming.OWNER_SHIFT) - 1


class SqliteConsumer(Consumer):
    """Has a connection of its own, so that it can wait on one thread while its transport publishes on another."""

    def __init__(self, file: SqliteFile, bell: Doorbell, queues: Sequence[Queue], prefetch: int, name: str) -> None:
        self._file = file
        self._bell = bell
        self._name = name
        self._prefetch = prefetch
        self._queues: dict[int, str] = {}
        self._ranges: list[int] = []
        self._probe = ""
        self._turn = 0
        self._held = 0
        self._claims = 0
        self._renewed_at = 0.0
        self._keep_at = 0.0
        self._is_woken = self._is_rung = self._is_closed = False
        with translated(file):
            self._connection = file.connect()
            try:
                self._enter(queues)
            except BaseException:
                self._connection.close()
                raise

    def receive(self, limit: int, timeout_s: float) -> Sequence[Delivery]:
        give_up = time.monotonic() + timeout_s
        with translated(self._file):
            while True:
                if self._is_woken:
                    self._is_woken = False
                    return []
                self._keep_house()
                found, _ = self._take(limit)
                if found:
                    return found
                self._listener.arm()
                found, due = self._take(limit)
                left_s = give_up - time.monotonic()
                if found or left_s <= 0:
                    self._listener.disarm()
                    return found
                self._is_rung = self._listener.wait(self._pause_s(left_s, due)) and not self._listener.is_polling

    def settle(self, settlement: Settlement) -> None:
        with translated(self._file):
            ringer = Ringer(self._bell)
            with transaction(self._connection):
                claiming.settle(self._connection, settlement, ringer)
            ringer()
        settled = len(settlement.acks) + len(settlement.rejects) + len(settlement.requeues)
        self._held = max(0, self._held - settled)

    def extend(self) -> None:
        now = time.monotonic()
        if now - self._renewed_at < self._file.lease_s / 4:
            return
        with translated(self._file):
            if not leases.renew(self._connection, self._owner, self._listener.token, self._file.lease_s):
                # Others took us for dead (the process was stopped for long): begin again, with nothing in hand.
                with transaction(self._connection):
                    self._register()
        self._renewed_at = now

    def wake(self) -> None:
        self._is_woken = True
        self._listener.wake()

    def add_queue(self, queue: Queue) -> None:
        with translated(self._file), transaction(self._connection):
            self._declare([queue])
            number = number_of(self._connection, queue.name)
            self._connection.execute("INSERT OR IGNORE INTO umbel_consumers VALUES (?, ?)", (self._owner, number))
        self._queues[number] = queue.name
        self._listen()

    def cancel_queue(self, name: str) -> None:
        number = next((number for number, known in self._queues.items() if known == name), None)
        if number is None:
            return
        del self._queues[number]
        self._listen()
        with translated(self._file), transaction(self._connection):
            self._connection.execute("DELETE FROM umbel_consumers WHERE owner = ? AND queue = ?", (self._owner, number))
            leases.drop_consumer(self._connection, number)

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._connection.is_inherited:
            return  # what is the parent's stays the parent's
        try:
            ringer = Ringer(self._bell)
            with contextlib.suppress(sqlite3.Error):  # whoever looks next finds us gone, and gives it back
                with transaction(self._connection):
                    leases.leave(self._connection, self._owner, ringer, uncounted=True)
                ringer()
        finally:
            self._listener.close()
            self._connection.close()

    # -- waiting ------------------------------------------------------------------------------------------------------

    def _pause_s(self, left_s: float, due: float | None) -> float:
        """How long nothing can come without a ring."""
        pause_s = min(left_s, LOOK_AGAIN_S)
        if self._prefetch and self._held >= self._prefetch:
            pause_s = min(pause_s, _FULL_PAUSE_S)
        if due is not None:
            pause_s = min(pause_s, max(0.0, due - time.time()))
        return pause_s

    def _keep_house(self) -> None:
        """Renew the lease, and give back what the dead hold: every second, or where many do it, in turns."""
        now = time.monotonic()
        if now - self._renewed_at >= LOOK_AGAIN_S:
            self.extend()
        if now >= self._keep_at:
            owners = leases.bury_dead(self._connection, self._bell, self._file.lease_s, but=self._owner)
            self._keep_at = now + LOOK_AGAIN_S * max(1, owners / _KEEPERS)

    # -- claiming -----------------------------------------------------------------------------------------------------

    def _take(self, limit: int) -> tuple[list[Delivery], float | None]:
        """Claim, if there is anything; return it, and else when the next delayed message (of any queue) is due."""
        due: float | None
        if self._prefetch:
            limit = min(limit, self._room())
            if limit <= 0:
                return [], None
        # A look without a lock first, unless it was rung: idle consumers must not disturb those who write.
        is_due = False
        if not self._is_rung:
            due, *has = self._look()
            is_due = due is not None and due <= time.time()
            if not is_due and not any(has):
                return [], due
        self._is_rung = False
        ringer = Ringer(self._bell)
        found: list[Delivery] = []
        with transaction(self._connection):
            if is_due:
                claiming.promote(self._connection, ringer)
            for number, name in self._in_turn():
                if len(found) >= limit:
                    break
                found += claiming.claim(self._connection, number, name, limit - len(found), self._next_token())
        self._held += len(found)
        ringer()
        return found, None if found else self._look()[0]

    def _look(self) -> tuple[Any, ...]:
        return self._connection.read(self._probe, self._ranges)[0]

    def _in_turn(self) -> list[tuple[int, str]]:
        """The queues, another one first each time."""
        queues = list(self._queues.items())
        if len(queues) > 1:
            self._turn = (self._turn + 1) % len(queues)
            queues = queues[self._turn :] + queues[: self._turn]
        return queues

    def _next_token(self) -> int:
        if self._claims >= _MOST_CLAIMS:
            raise OperationalError("expected fewer than four thousand million claims of one consumer: make a new one")
        self._claims += 1
        return self._owner << claiming.OWNER_SHIFT | self._claims

    def _room(self) -> int:
        if self._held >= self._prefetch:
            # Some may have been settled through other connections.
            self._held = len(claiming.held(self._connection, self._owner))
        return self._prefetch - self._held

    # -- registering --------------------------------------------------------------------------------------------------

    def _enter(self, queues: Sequence[Queue]) -> None:
        self._listener = self._bell.listen()
        with transaction(self._connection):
            self._declare(queues)
            for queue in queues:
                self._queues[number_of(self._connection, queue.name)] = queue.name
            self._register()
        self._renewed_at = time.monotonic()
        self._listen()

    def _register(self) -> None:
        self._owner = leases.enter(
            self._connection, self._name, self._listener.token, self._file.lease_s, list(self._queues)
        )
        self._claims = self._held = 0

    def _declare(self, queues: Sequence[Queue]) -> None:
        Topology().declare(self._connection, queues)

    def _listen(self) -> None:
        self._listener.listen_to(topic_of(number) for number in self._queues)
        looks = "EXISTS (SELECT 1 FROM umbel_ready WHERE id BETWEEN ? AND ?)"
        self._probe = ", ".join(["SELECT (SELECT min(due) FROM umbel_delayed)", *[looks] * len(self._queues)])
        self._ranges = [place for number in self._queues for place in places.queue_bounds(number)]
