"""Sends inside somebody else's transaction: the messages exist exactly if his data does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn

import psycopg

from umbel.exceptions import ImproperlyConfigured, OperationalError
from umbel.model import Publication, Queue
from umbel.spi import Consumer, Transport
from umbel_library_postgres import Address, Link
from umbel_transport_postgres import publishing
from umbel_transport_postgres.failures import failure
from umbel_transport_postgres.topology import Topology, find_numbers

__all__ = ["BorrowedTransport", "check_connection"]

_OPEN_TIMEOUT_S: Final = 4.0
_HAS_TABLES: Final = "SELECT to_regclass('SCHEMA.topology') IS NOT NULL"


def check_connection(connection: Any, address: Address) -> None:
    """Raise for what is no connection of the driver to the broker's database."""
    if not isinstance(connection, psycopg.Connection):
        raise TypeError(
            f"expected connection= to be a psycopg.Connection, got {type(connection).__name__}; of SQLAlchemy's that is "
            "connection.connection.driver_connection, of Django's connection.connection"
        )
    expected = address.identity.rpartition("/")[2]
    if connection.info.dbname != expected:
        raise ImproperlyConfigured(
            f"expected connection= to be open to the broker's database {expected!r}, got {connection.info.dbname!r}: "
            "only in one database can the task and the data be one transaction"
        )


class BorrowedTransport(Transport):
    """Publishes on a connection that its caller opened, commits and closes; does nothing else."""

    def __init__(self, connection: psycopg.Connection[Any], address: Address, home: Transport) -> None:
        self._address = address
        self._home = home
        self._link = Link(connection, address.schema, borrowed=True)

    def open(self, timeout_s: float) -> None:
        """Nothing to do: the connection is the caller's."""

    def close(self) -> None:
        """Nothing to do: the connection is the caller's."""

    def declare(self, queues: Sequence[Queue]) -> None:
        """Make missing queues, on a connection of its own: the caller's transaction must not lock what all need."""
        with self._translated():
            missing = list(queues)
            if self._link.rows(_HAS_TABLES)[0][0]:
                known = find_numbers(self._link, [queue.name for queue in queues])
                missing = [queue for queue in queues if queue.name not in known]
        if missing:
            self._home.open(_OPEN_TIMEOUT_S)
            try:
                self._home.declare(missing)
            finally:
                self._home.close()

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        """Write *publications*; they are sent when the caller commits, and gone when he rolls back."""
        if self._link.connection.closed:
            raise OperationalError("expected connection= to be open, got a closed one")
        with self._translated():
            publishing.publish(self._link, Topology(), publications)

    def consume(self, queues: Sequence[Queue], prefetch: int, name: str) -> Consumer:
        self._refuse()

    def count(self, queues: Sequence[str]) -> Sequence[int]:
        self._refuse()

    def purge(self, queue: str) -> int:
        self._refuse()

    def delete(self, queue: str) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotImplementedError("a transport on the caller's connection publishes only: use app.open_transport()")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise failure(error, self._address.masked) from error
