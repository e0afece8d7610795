"""The transport: one connection to the file, for one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NoReturn

from umbel.doorbell import Doorbell
from umbel.exceptions import OperationalError
from umbel.model import Publication, Queue, Settlement
from umbel.spi import Consumer, JointTransport, Revocation, RevocationStore, Transport, TransportCapabilities
from umbel.sqlite_file import Connection, SqliteFile, explain, migrate, transaction
from umbel_transport_sqlite import claiming, deleting, publishing
from umbel_transport_sqlite import revocations as revoking
from umbel_transport_sqlite.consumer import SqliteConsumer
from umbel_transport_sqlite.publishing import Ringer
from umbel_transport_sqlite.schema import COMPONENT, SCRIPTS
from umbel_transport_sqlite.topology import Topology, find_numbers
from umbel_transport_sqlite.translating import translated

__all__ = ["SqliteTransport"]


class SqliteTransport(Transport, JointTransport, RevocationStore):
    """Messages in an SQLite file, for all processes of one machine."""

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

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._bell = Doorbell(file.bell_directory)
        self._topology = Topology()
        self._opened: Connection | None = None

    def open(self, timeout_s: float) -> None:
        if self._opened is not None and not self._opened.is_inherited:
            return
        with translated(self._file):
            connection = self._file.connect(timeout_s)
            try:
                migrate(connection, COMPONENT, SCRIPTS, timeout_s)
            except BaseException:
                connection.close()
                raise
        self._topology.forget()
        self._opened = connection

    def close(self) -> None:
        connection, self._opened = self._opened, None
        if connection is not None and not connection.is_inherited:
            connection.close()
        self._bell.close()

    def declare(self, queues: Sequence[Queue]) -> None:
        connection = self._connection
        with translated(self._file), transaction(connection):
            self._topology.declare(connection, queues)

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        connection = self._connection
        try:
            if len(publications) == 1:
                topic = publishing.publish_one(connection, self._topology, publications[0], timeout_s)
                if topic is not None:
                    self._bell.ring((topic,), 1)
                    return
            with transaction(connection, timeout_s):
                ring = publishing.publish(connection, self._topology, publications, self._bell)
        except BaseException as error:
            # Numbers of queues that were made in this transaction are not theirs any more.
            self._topology.forget()
            if isinstance(error, sqlite3.Error):
                raise OperationalError(explain(error, self._file.path)) from error
            raise
        ring()

    def consume(self, queues: Sequence[Queue], prefetch: int, name: str) -> Consumer:
        if self._opened is None:
            self._refuse()
        return SqliteConsumer(self._file, self._bell, queues, prefetch, name)

    def count(self, queues: Sequence[str]) -> Sequence[int]:
        connection = self._connection
        with translated(self._file):
            numbers = find_numbers(connection, queues)
            return [0 if number is None else deleting.count(connection, number) for number in numbers]

    def purge(self, queue: str) -> int:
        connection = self._connection
        with translated(self._file):
            number = find_numbers(connection, [queue])[0]
            return 0 if number is None else deleting.purge(connection, number)

    def delete(self, queue: str) -> None:
        connection = self._connection
        with translated(self._file), transaction(connection):
            number = find_numbers(connection, [queue])[0]
            if number is not None:
                deleting.delete_queue(connection, number)

    def settle(self, settlement: Settlement) -> None:
        connection = self._connection
        ringer = Ringer(self._bell)
        with translated(self._file), transaction(connection):
            claiming.settle(connection, settlement, ringer)
        ringer()

    def revoke(self, revocations: Sequence[Revocation], expires_s: float) -> None:
        connection = self._connection
        with translated(self._file), transaction(connection):
            revoking.write(connection, revocations, expires_s)

    def revocations(self, cursor: Any = None) -> tuple[Sequence[Revocation], Any]:
        connection = self._connection
        with translated(self._file):
            return revoking.read(connection, cursor)

    @property
    def store_identity(self) -> str:
        return self._file.identity

    def write_jointly(
        self, transaction: Any, publications: Sequence[Publication], settlement: Settlement
    ) -> Callable[[], None] | None:
        # What is remembered must hold even if the caller rolls back, so this starts from nothing each time.
        rings: list[Callable[[], None]] = []
        if publications:
            rings.append(publishing.publish(transaction, Topology(), publications, self._bell))
        if settlement:
            ringer = Ringer(self._bell)
            claiming.settle(transaction, settlement, ringer)
            rings.append(ringer)

        def ring_all() -> None:
            for ring in rings:
                ring()

        return ring_all

    @property
    def _connection(self) -> Connection:
        if self._opened is None or self._opened.is_inherited:
            self._refuse()
        return self._opened

    def _refuse(self) -> NoReturn:
        raise OperationalError(
            f"expected an open connection to the SQLite file {self._file.path}, got one that is closed or was opened "
            "before a fork: call open() in this process first"
        )
