"""A connection whose every statement has a deadline, and the statements of one schema over it."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import TupleRow, tuple_row

from umbel_library_postgres.address import Address

__all__ = ["Connection", "Link", "TooLateError", "connect", "explain"]

T = TypeVar("T")

_LEAST_CONNECT_TIMEOUT_S: Final = 2  # of the driver

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
        except TooLateError:
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


class TooLateError(psycopg.OperationalError):
    """The server did not answer in time."""


def _until(steps: Generator[Any, Any, T], give_up_at: float) -> Generator[Any, Any, T]:
    """Go the driver's *steps*; it sends nothing (0) every tenth of a second while nothing comes."""
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= give_up_at:
                raise TooLateError("no answer in time")
            wanted = steps.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result


def connect(address: Address, timeout_s: float, command_timeout_s: float) -> Connection:
    """Return a new connection that commits each statement; raises the driver's errors."""
    options: dict[str, Any] = dict(address.options)
    allowed_s = max(_LEAST_CONNECT_TIMEOUT_S, math.floor(timeout_s))
    options["connect_timeout"] = min(int(options.get("connect_timeout") or allowed_s) or allowed_s, allowed_s)
    if timeout_s < _LEAST_CONNECT_TIMEOUT_S:
        connection = _connected_soon(options, timeout_s)
    else:
        connection = Connection.connect(autocommit=True, **options)
    connection.timeout_s = max(1.0, timeout_s)
    try:
        connection.execute(_SET_UP.format(milliseconds=int(command_timeout_s * 1000)).encode())
    except BaseException:
        connection.close()
        raise
    connection.timeout_s = command_timeout_s + 1.0  # the server's own deadline comes first, and keeps the connection
    return connection


def _connected_soon(options: dict[str, Any], timeout_s: float) -> Connection:
    """Connect within less than the driver's least time, by leaving an attempt that takes longer to its own end."""
    attempt: Future[Connection] = Future()

    def run() -> None:
        try:
            attempt.set_result(Connection.connect(autocommit=True, **options))
        except BaseException as error:
            attempt.set_exception(error)

    threading.Thread(target=run, name="umbel-postgres-connect", daemon=True).start()
    try:
        return attempt.result(timeout_s)
    except TimeoutError:
        attempt.add_done_callback(_close_unless_failed)
        raise TooLateError("no answer in time") from None


def _close_unless_failed(attempt: Future[Connection]) -> None:
    if attempt.exception() is None:
        attempt.result().close()


def explain(error: psycopg.Error, masked: str) -> str:
    """Return what to tell people of the driver's *error*."""
    text = str(error).strip().replace("\n", " ") or type(error).__name__
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
        text += "; the tables are made when a process connects: was the schema dropped, or is this another database?"
    elif isinstance(error, psycopg.errors.InsufficientPrivilege):
        text += "; grant this user USAGE and CREATE on the schema, or have its owner start a worker once"
    return f"cannot use the PostgreSQL server at {masked}: {text}"


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
        #: For what nobody reads the answer of: in a batch, the answer of one statement would be taken for another's.
        self._blind: psycopg.Cursor[TupleRow] = psycopg.Cursor(connection, row_factory=tuple_row)

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[TupleRow]:
        """Run *statement* and return all of its rows."""
        return self._run(statement, values).fetchall()

    def change(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run *statement* and return how many rows it wrote."""
        return self._run(statement, values).rowcount

    def script(self, statements: str) -> None:
        """Run several statements without values."""
        self._cursor.execute(statements.replace("SCHEMA", self.schema).encode())

    def send(self, statement: str, values: Sequence[Any] = ()) -> None:
        """Run *statement* for what it does. Inside of :meth:`batch` it goes with the next round trip."""
        self._blind.execute(self._text(statement), values, binary=True)

    def transaction(self) -> AbstractContextManager[Any]:
        """Have what is inside done at once or not at all."""
        return contextlib.nullcontext() if self._borrowed else self.connection.transaction()

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Have what is inside done at once or not at all, in one round trip if nothing inside asks for rows.

        What fails may be raised at the end only, and :meth:`change` does not know its number.
        """
        if self._borrowed or not psycopg.Pipeline.is_supported():
            with self.transaction():
                yield
            return
        try:
            with self.connection.pipeline():
                self.send("BEGIN")
                try:
                    yield
                except BaseException:
                    if self.connection.pgconn.pipeline_status != PipelineStatus.ABORTED:
                        self.send("ROLLBACK")
                    raise
                self.send("COMMIT")
        finally:
            if not self.connection.closed and self.connection.info.transaction_status != TransactionStatus.IDLE:
                self.connection.rollback()  # what failed has left its transaction open

    def is_lost(self, error: psycopg.Error) -> bool:
        """Say whether the connection is of no use after *error*. The driver may not have noticed yet."""
        state = error.sqlstate or ""
        return self.connection.closed or state.startswith(("08", "57P"))

    def _run(self, statement: str, values: Sequence[Any]) -> psycopg.Cursor[TupleRow]:
        return self._cursor.execute(self._text(statement), values, binary=True)

    def _text(self, statement: str) -> bytes:
        text = self._texts.get(statement)
        if text is None:
            text = self._texts[statement] = statement.replace("SCHEMA", self.schema).encode()
        return text
