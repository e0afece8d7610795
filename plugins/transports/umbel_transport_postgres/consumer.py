"""The consumer: claims in batches, sleeps until it is told of something, keeps its lease."""

from __future__ import annotations

import contextlib
import math
import os
import select
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final

import psycopg

from umbel.exceptions import OperationalError
from umbel.model import Delivery, Queue, Settlement
from umbel.spi import Consumer
from umbel_library_postgres import Address, Connection, Link, connect
from umbel_transport_postgres import claiming, leases
from umbel_transport_postgres.deleting import drop_expired
from umbel_transport_postgres.failures import failure
from umbel_transport_postgres.publishing import LOOK_AGAIN_S
from umbel_transport_postgres.settings import PostgresTransportSettings
from umbel_transport_postgres.topology import Topology, channel_of, find_numbers

__all__ = ["PostgresConsumer"]

#: How soon a consumer that holds all it may looks whether something was settled elsewhere.
_FULL_PAUSE_S: Final = 0.02


class PostgresConsumer(Consumer):
    """Has a connection of its own, so that it can wait on one thread while its transport publishes on another."""

    def __init__(
        self,
        address: Address,
        settings: PostgresTransportSettings,
        queues: Sequence[Queue],
        prefetch: int,
        name: str,
        timeout_s: float,
    ) -> None:
        self._address = address
        self._settings = settings
        self._name = name
        self._prefetch = prefetch
        self._pid = os.getpid()
        self._queues: dict[int, str] = {}
        #: Queues in which something may be: told by a notification, or not yet found empty.
        self._hopeful: set[int] = set()
        self._hints: claiming.Hints = {}
        self._turn = self._held = 0
        self._renewed_at = self._keep_at = self._due_at = 0.0
        self._is_woken = self._is_closed = False
        self._bell = threading.Lock()
        with self._translated():
            self._connection: Connection = connect(address, timeout_s, settings.command_timeout_s)
            self._bell_out, self._bell_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                self._enter(queues)
            except BaseException:
                self._let_go()
                raise

    # -- claiming -----------------------------------------------------------------------------------------------------

    def receive(self, limit: int, timeout_s: float) -> Sequence[Delivery]:
        give_up = time.monotonic() + timeout_s
        with self._translated():
            while True:
                if self._was_woken():
                    return []
                self._keep_house()
                found = self._take(max(1, limit))
                left_s = give_up - time.monotonic()
                if found or left_s <= 0:
                    return found
                self._wait(left_s)

    def _take(self, limit: int) -> list[Delivery]:
        if self._prefetch:
            limit = min(limit, self._room())
        if limit <= 0:
            return []
        if time.monotonic() >= self._due_at:
            self._promote()
        if not self._hopeful:
            return []
        asked, self._hopeful = self._in_turn(), set()  # what is told from here on is not forgotten
        had_hints = bool(self._hints)
        found = claiming.claim(self._link, self._owner, asked, limit, self._hints)
        if len(found) < limit and had_hints:
            found += claiming.claim(self._link, self._owner, asked, limit - len(found), self._hints)
        if len(found) == limit:
            self._hopeful.update(asked)
        self._held += len(found)
        return found

    def _in_turn(self) -> dict[int, str]:
        """The hopeful queues, another one first each time."""
        numbers = [number for number in self._queues if number in self._hopeful]
        if len(numbers) > 1:
            self._turn = (self._turn + 1) % len(numbers)
            numbers = numbers[self._turn :] + numbers[: self._turn]
        return {number: self._queues[number] for number in numbers}

    def _room(self) -> int:
        if self._held >= self._prefetch:
            # Some may have been settled through other connections.
            self._held = claiming.count_held(self._link, self._owner)
        return self._prefetch - self._held

    def _promote(self) -> None:
        left_s = claiming.promote(self._link)
        self._due_at = math.inf if left_s is None else time.monotonic() + left_s

    # -- waiting ------------------------------------------------------------------------------------------------------

    def _wait(self, left_s: float) -> None:
        """Sleep until a notification or :meth:`wake`, or until something is to be done."""
        now = time.monotonic()
        pause_s = min(left_s, self._keep_at - now, self._due_at - now)
        if self._prefetch and self._held >= self._prefetch:
            pause_s = min(pause_s, _FULL_PAUSE_S)
        elif self._hopeful:
            return
        watch = select.poll()
        watch.register(self._connection.fileno(), select.POLLIN)
        watch.register(self._bell_out, select.POLLIN)
        ready = watch.poll(max(0.0, math.ceil(pause_s * 1000)))
        if any(descriptor != self._bell_out for descriptor, _ in ready):
            driver = self._connection.pgconn
            driver.consume_input()
            while notify := driver.notifies():
                self._heard(notify.relname.decode(), notify.extra.decode())

    def _heard(self, channel: str, payload: str) -> None:
        number = int(channel.rpartition("_q")[2])
        if payload == "due":
            self._due_at = 0.0
        elif number in self._queues:
            self._hopeful.add(number)

    def _was_woken(self) -> bool:
        if not self._is_woken:
            return False
        self._is_woken = False
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell_out, 4096)
        return True

    def wake(self) -> None:
        with self._bell:
            self._is_woken = True
            if not self._is_closed:
                with contextlib.suppress(BlockingIOError):  # full: it is awake already
                    os.write(self._bell_in, b"!")

    # -- lease --------------------------------------------------------------------------------------------------------

    def extend(self) -> None:
        if time.monotonic() - self._renewed_at < self._settings.lease_s / 8:
            return
        with self._translated():
            self._renew()

    def _renew(self) -> None:
        now = time.monotonic()
        if not leases.renew(self._link, self._owner, self._settings.lease_s):
            # Others took us for dead (the process was stopped for long): begin again, with nothing in hand.
            self._register()
        self._renewed_at = now

    def _keep_house(self) -> None:
        """Once a second: renew, give back what the dead hold, and look everywhere, whatever was told."""
        now = time.monotonic()
        if now < self._keep_at:
            return
        self._renew()
        leases.bury_dead(self._link)
        drop_expired(self._link)
        self._promote()
        self._hints.clear()
        self._hopeful.update(self._queues)
        self._keep_at = time.monotonic() + LOOK_AGAIN_S

    # -- queues, settling, end ----------------------------------------------------------------------------------------

    def settle(self, settlement: Settlement) -> None:
        with self._translated(), self._link.batch():
            claiming.settle(self._link, settlement)
        settled = len(settlement.acks) + len(settlement.rejects) + len(settlement.requeues)
        self._held = max(0, self._held - settled)

    def add_queue(self, queue: Queue) -> None:
        with self._translated():
            self._add([queue])

    def cancel_queue(self, name: str) -> None:
        number = next((number for number, known in self._queues.items() if known == name), None)
        if number is None:
            return
        del self._queues[number]
        self._hopeful.discard(number)
        with self._translated():
            self._connection.execute(f"UNLISTEN {channel_of(self._address.schema, number)}".encode())
            with self._link.transaction():
                leases.drop_queue(self._link, self._owner, number)

    def close(self) -> None:
        with self._bell:
            if self._is_closed:
                return
            self._is_closed = True
        if self._pid != os.getpid():
            return  # what is the parent's stays the parent's
        # Whoever looks when the lease is over finds us gone, and gives back what we could not.
        with contextlib.suppress(psycopg.Error), self._connection.within(2.0), self._link.transaction():
            leases.leave(self._link, self._owner, uncounted=True)
        self._let_go()

    def _enter(self, queues: Sequence[Queue]) -> None:
        self._connection.add_notify_handler(lambda notify: self._heard(notify.channel, notify.payload))
        self._link = Link(self._connection, self._address.schema)
        self._register()
        self._add(queues)

    def _register(self) -> None:
        self._owner = leases.enter(self._link, self._name, self._settings.lease_s)
        self._held = 0
        for number in self._queues:
            leases.add_queue(self._link, self._owner, number)

    def _add(self, queues: Sequence[Queue]) -> None:
        if not queues:
            return
        Topology().declare(self._link, queues)
        numbers = find_numbers(self._link, [queue.name for queue in queues])
        for name, number in numbers.items():
            leases.add_queue(self._link, self._owner, number)
            # From here on it is told of everything; what came before is found by the first look.
            self._connection.execute(f"LISTEN {channel_of(self._address.schema, number)}".encode())
            self._queues[number] = name
            self._hopeful.add(number)

    def _let_go(self) -> None:
        self._is_closed = True
        self._connection.close()
        os.close(self._bell_in)
        os.close(self._bell_out)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        if self._is_closed or self._pid != os.getpid():
            raise OperationalError("expected an open consumer, got one that is closed or was made before a fork")
        try:
            yield
        except psycopg.Error as error:
            raise failure(error, self._address.masked) from error
