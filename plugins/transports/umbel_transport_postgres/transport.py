"""The transport: one connection to the server, for one thread."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import psycopg

from umbel.exceptions import OperationalError
from umbel.model import Publication, Queue, Settlement
from umbel.spi import Consumer, JointTransport, Revocation, RevocationStore, Transport, TransportCapabilities
from umbel_library_postgres import Address, Connection, Link, connect
from umbel_transport_postgres import claiming, deleting, publishing
from umbel_transport_postgres import revocations as revoking
from umbel_transport_postgres.borrowing import BorrowedTransport, check_connection
from umbel_transport_postgres.consumer import PostgresConsumer
from umbel_transport_postgres.failures import failure
from umbel_transport_postgres.schema import migrate
from umbel_transport_postgres.settings import PostgresTransportSettings
from umbel_transport_postgres.topology import Topology, find_numbers

__all__ = ["PostgresTransport"]


class PostgresTransport(Transport, JointTransport, RevocationStore):
    """Messages in tables of a PostgreSQL database."""

    capabilities: ClassVar[TransportCapabilities] = TransportCapabilities(
        fanout=True,
        keeps_broadcasts=True,
        priorities=True,
        delayed_delivery=True,
        counts_delayed=True,
        durable=True,
        many_processes=True,
        leases=True,
        counts_deliveries=True,
        settle_from_any_connection=True,
        expires_messages=True,
        umbel_only=True,
        exchange_kinds=frozenset({"direct", "topic", "fanout"}),
    )

    def __init__(self, url: str, settings: PostgresTransportSettings) -> None:
        self._settings = settings
        self._address = Address.of(url, settings.schema)
        self._topology = Topology()
        self._connection: Connection | None = None
        self._opened: Link | None = None
        self._joint: Link | None = None
        self._joint_topology = Topology()
        self._pid = 0
        self._timeout_s = 4.0

    def __repr__(self) -> str:
        return f"<PostgresTransport {self._address.masked}>"

    def open(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        if self._opened is not None and self._pid == os.getpid():
            return
        with self._translated():
            connection = connect(self._address, timeout_s, self._settings.command_timeout_s)
            link = Link(connection, self._address.schema)
            try:
                with connection.within(max(1.0, timeout_s)):
                    migrate(link)
            except BaseException:
                connection.close()
                raise
        self._topology.forget()
        self._connection, self._opened, self._pid = connection, link, os.getpid()

    def close(self) -> None:
        if self._connection is not None and self._pid == os.getpid():
            self._connection.close()
            self._connection = self._opened = None

    def declare(self, queues: Sequence[Queue]) -> None:
        with self._using() as link:
            self._topology.declare(link, queues)

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        with self._using() as link:
            assert self._connection is not None
            try:
                with self._connection.within(timeout_s):
                    publishing.publish(link, self._topology, publications)
            except BaseException:
                self._topology.forget()
                raise

    def within(self, timeout_s: float) -> AbstractContextManager[None]:
        return contextlib.nullcontext() if self._connection is None else self._connection.within(timeout_s)

    def consume(self, queues: Sequence[Queue], prefetch: int, name: str) -> Consumer:
        with self._using():
            return PostgresConsumer(self._address, self._settings, queues, prefetch, name, self._timeout_s)

    def count(self, queues: Sequence[str]) -> Sequence[int]:
        with self._using() as link:
            return deleting.count(link, queues)

    def purge(self, queue: str) -> int:
        with self._using() as link:
            number = find_numbers(link, [queue]).get(queue)
            return 0 if number is None else deleting.purge(link, number)

    def delete(self, queue: str) -> None:
        with self._using() as link, link.transaction():
            number = find_numbers(link, [queue]).get(queue)
            if number is not None:
                deleting.delete_queue(link, number)

    def settle(self, settlement: Settlement) -> None:
        with self._using() as link, link.batch() if settlement.requeues else contextlib.nullcontext():
            claiming.settle(link, settlement)

    def revoke(self, revocations: Sequence[Revocation], expires_s: float) -> None:
        with self._using() as link:
            revoking.write(link, revocations, expires_s)

    def revocations(self, cursor: Any = None) -> tuple[Sequence[Revocation], Any]:
        with self._using() as link:
            return revoking.read(link, cursor)

    # -- together with others -----------------------------------------------------------------------------------------

    @property
    def store_identity(self) -> str:
        return self._address.identity

    def write_jointly(
        self, transaction: Any, publications: Sequence[Publication], settlement: Settlement
    ) -> Callable[[], None] | None:
        if self._joint is None or self._joint.connection is not transaction:
            self._joint = Link(transaction, self._address.schema, borrowed=True)
            self._joint_topology.forget()
        topology = self._joint_topology
        try:
            publishing.publish(self._joint, topology, publications)
            claiming.settle(self._joint, settlement)
        except BaseException:
            topology.forget()
            raise
        if topology.has_declared:  # the numbers of new queues are nothing if this is rolled back
            topology.forget()
        return None  # the server tells the consumers when it commits

    def in_transaction(self, connection: Any) -> Transport:
        """Return a transport that publishes inside the transaction of *connection*, a psycopg connection.

        The tables are made beforehand, in a transaction of their own, when this process has not seen them yet.
        """
        check_connection(connection, self._address)
        return BorrowedTransport(connection, self._address, self)

    # -- the connection -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _using(self) -> Iterator[Link]:
        if self._opened is None or self._pid != os.getpid():
            raise OperationalError(
                f"expected an open connection to {self._address.masked}, got one that is closed or was opened before a "
                "fork: call open() in this process first"
            )
        with self._translated():
            yield self._opened

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise failure(error, self._address.masked) from error
