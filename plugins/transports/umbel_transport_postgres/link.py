"""A connection whose every statement has a deadline, and the statements of one schema over it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

import psycopg
from psycopg.rows import TupleRow, tuple_row

from umbel.exceptions import OperationalError, TransportError
from umbel_transport_postgres.address import Address

__all__ = ["Connection", "Link", "connect", "failure"]

T = TypeVar("T")

#: Statistics of queues are always old: what is empty now has a million rows in a minute. So plans follow the indexes.
#: A client that stands still in the middle of a transaction must not hold the locks of others.
_SET_UP: Final = """
SET statement_timeout = {milliseconds};
SET idle_in_transaction_session_timeout = 60000;
SET default_transaction_isolation = 'read committed';
SET client_min_messages = warning;
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off
"""


class Connection(psycopg.Connection[TupleRow]):
    """Gives up, and closes, when the server has not answered in time: the driver alone would wait for ever."""

    #: How long one statement may take (seconds), and until when (monotonic) all of them where that is set.
    timeout_s: float = 15.0
    give_up_at: float | None = None

    def wait(self, gen: Generator[Any, Any, T], *options: Any, **named: Any) -> T:
        """Run a step of the protocol, as the driver does, within the deadline."""
        give_up_at = time.monotonic() + self.timeout_s
        if self.give_up_at is not None:
            give_up_at = min(give_up_at, self.give_up_at)
        try:
            return super().wait(_until(gen, give_up_at), *options, **named)
        except _TooLateError:
            self.close()
            raise

    @contextlib.contextmanager
    def within(self, timeout_s: float) -> Iterator[None]:
        """Have everything inside done within *timeout_s*."""
        self.give_up_at = time.monotonic() + timeout_s
        try:
            yield
        finally:
            self.give_up_at = None


class _TooLateError(psycopg.OperationalError):
    """The server did not answer in time."""


def _until(steps: Generator[Any, Any, T], give_up_at: float) -> Generator[Any, Any, T]:
    """Go the driver's *steps*; it sends nothing (0) every tenth of a second while nothing comes."""
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= give_up_at:
                raise _TooLateError("no answer in time")
            wanted = steps.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result


def connect(address: Address, timeout_s: float, command_timeout_s: float) -> Connection:
    """Return a new connection that commits each statement; raises the driver's errors."""
    options: dict[str, Any] = dict(address.options)
    allowed_s = max(2, math.ceil(timeout_s))  # the driver's least
    options["connect_timeout"] = min(int(options.get("connect_timeout") or allowed_s) or allowed_s, allowed_s)
    connection = Connection.connect(autocommit=True, **options)
    connection.timeout_s = max(1.0, timeout_s)
    try:
        connection.execute(_SET_UP.format(milliseconds=int(command_timeout_s * 1000)).encode())
    except BaseException:
        connection.close()
        raise
    connection.timeout_s = command_timeout_s + 1.0  # the server's own deadline comes first, and keeps the connection
    return connection


def failure(error: psycopg.Error, masked: str) -> Exception:
    """Return what to raise for the driver's *error*."""
    text = str(error).strip().replace("\n", " ") or type(error).__name__
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
        text += "; the tables are made when a worker starts: was the schema dropped, or is search in another database?"
    elif isinstance(error, psycopg.errors.InsufficientPrivilege):
        text += "; grant this user USAGE and CREATE on the schema, or have its owner start a worker once"
    elif isinstance(error, psycopg.DataError | psycopg.IntegrityError):
        return TransportError(f"the PostgreSQL server at {masked} refused a value: {text}")
    return OperationalError(f"cannot use the PostgreSQL server at {masked}: {text}")


class Link:
    """Runs statements in which ``SCHEMA`` stands for the schema. Raises the driver's errors; used by one thread.

    Over a connection that is *borrowed* it begins and ends no transaction: that is its owner's.
    """

    def __init__(self, connection: psycopg.Connection[Any], schema: str, *, borrowed: bool = False) -> None:
        self.connection = connection
        self.schema = schema
        self._borrowed = borrowed
        self._texts: dict[str, bytes] = {}
        self._cursor: psycopg.Cursor[TupleRow] = psycopg.Cursor(connection, row_factory=tuple_row)

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[TupleRow]:
        """Run *statement* and return all of its rows."""
        return self._run(statement, values).fetchall()

    def change(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run *statement* and return how many rows it wrote."""
        return self._run(statement, values).rowcount

    def script(self, statements: str) -> None:
        """Run several statements without values."""
        self._cursor.execute(statements.replace("SCHEMA", self.schema).encode())

    def transaction(self) -> AbstractContextManager[Any]:
        """Have what is inside done at once or not at all."""
        return contextlib.nullcontext() if self._borrowed else self.connection.transaction()

    def _run(self, statement: str, values: Sequence[Any]) -> psycopg.Cursor[TupleRow]:
        text = self._texts.get(statement)
        if text is None:
            text = self._texts[statement] = statement.replace("SCHEMA", self.schema).encode()
        return self._cursor.execute(text, values, binary=True)
