"""The result backend: one connection behind a lock, and one that listens while somebody waits."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Final, TypeVar

import psycopg

from umbel.exceptions import BackendError, BackendGetMetaError, BackendStoreError
from umbel.model import ChordPart, JoinedChord, TaskMeta
from umbel.spi import BackendCapabilities, JointBackend, ResultBackend
from umbel_backend_postgres import chords, results
from umbel_backend_postgres.schema import migrate
from umbel_backend_postgres.settings import PostgresBackendSettings
from umbel_backend_postgres.waiting import Bulletin, Waiter
from umbel_library_postgres import Address, Connection, Link, TooLateError, connect, explain

__all__ = ["PostgresBackend"]

T = TypeVar("T")

#: Who waits looks at the store at least this often, whatever the server tells him.
_LOOK_AGAIN_S: Final = 2.0
#: What may well succeed when it is done once more.
_AGAIN: Final = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)

#: Connections that came through a fork: neither used nor closed, which garbage collection would do.
_inherited: list[Any] = []


class PostgresBackend(ResultBackend, JointBackend):
    """Results in tables of a PostgreSQL database."""

    capabilities: ClassVar[BackendCapabilities] = BackendCapabilities(push=True, durable=True, many_processes=True)

    def __init__(self, url: str, settings: PostgresBackendSettings) -> None:
        self._settings = settings
        self._address = Address.of(url, settings.schema)
        self._timeout_s = 4.0
        self._link: Link | None = None
        self._bulletin: Bulletin | None = None
        self._begin()

    def __repr__(self) -> str:
        return f"<PostgresBackend {self._address.masked}>"

    def open(self, timeout_s: float) -> None:
        self._check_process()
        self._timeout_s = timeout_s
        self._is_closed = False
        self._run(BackendError, lambda link: None)

    def close(self) -> None:
        if self._pid != os.getpid():
            return
        self._is_closed = True
        with self._waiting:
            bulletin, self._bulletin = self._bulletin, None
        if bulletin is not None:
            bulletin.close()
        with self._lock:
            self._drop()

    def store(self, metas: Sequence[TaskMeta]) -> None:
        if len(metas) == 1:
            self._run(BackendStoreError, lambda link: results.write(link, metas))
        elif metas:
            self._run(BackendStoreError, _in_one_batch(lambda link: results.write(link, metas)))

    def load(self, ids: Sequence[str]) -> Sequence[TaskMeta | None]:
        return self._run(BackendGetMetaError, lambda link: results.load(link, ids))

    def forget(self, ids: Sequence[str]) -> None:
        self._run(BackendStoreError, lambda link: results.forget(link, ids))

    def wait(self, ids: Sequence[str], timeout_s: float) -> Sequence[TaskMeta]:
        give_up = time.monotonic() + timeout_s
        if timeout_s <= 0 or self._bulletin is None:
            found = self._final(ids)
            if found or timeout_s <= 0 or self._is_closed:
                return found
        bulletin = self._listening()
        waiter = Waiter(ids)
        try:
            while True:
                # In this order: what is stored after the joining is told, what was stored before is seen by the look.
                self._join(bulletin, waiter)
                found = self._final(ids)
                left_s = give_up - time.monotonic()
                if found or left_s <= 0 or self._is_closed:
                    return found
                bulletin.wait(waiter, min(left_s, _LOOK_AGAIN_S))
        finally:
            bulletin.leave(waiter)

    def save_group(self, group_id: str, payload: bytes | None, expires_s: float | None = None) -> None:
        self._run(BackendStoreError, lambda link: results.save_group(link, group_id, payload, expires_s))

    def load_group(self, group_id: str) -> bytes | None:
        return self._run(BackendGetMetaError, lambda link: results.load_group(link, group_id))

    def join(self, parts: Sequence[ChordPart]) -> Sequence[JoinedChord]:
        if not parts:
            return []
        return self._run(BackendStoreError, _in_one_batch(lambda link: chords.join(link, parts)))

    def conclude(self, group_ids: Sequence[str]) -> None:
        self._run(BackendStoreError, _in_one_batch(lambda link: chords.conclude(link, group_ids)))

    def expire(self, before: float) -> int:
        return self._run(BackendStoreError, lambda link: results.expire(link, before))

    # -- together with a transport in the same database ---------------------------------------------------------------

    @property
    def store_identity(self) -> str:
        return self._address.identity

    @contextlib.contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Any]]:
        self._check_process()
        with self._lock, self._translated(BackendStoreError):
            # A connection that was lost while it was idle is noticed before anything is written on it.
            self._run(BackendStoreError, lambda link: link.rows("SELECT 1") if self._is_stale() else None)
            link = self._opened()
            try:
                with link.batch():
                    yield link.connection
                self._used_at = time.monotonic()
            except psycopg.Error as error:
                if link.is_lost(error):
                    self._drop()
                raise

    def store_jointly(
        self, transaction: Any, metas: Sequence[TaskMeta], parts: Sequence[ChordPart]
    ) -> tuple[Sequence[JoinedChord], Callable[[], None] | None]:
        link = self._opened()
        if metas:
            results.write(link, metas)
        joined = chords.join(link, parts) if parts else []
        chords.conclude(link, [chord.group_id for chord in joined])
        return joined, None  # the server tells who waits when it commits

    # -- waiting ------------------------------------------------------------------------------------------------------

    def _final(self, ids: Sequence[str]) -> list[TaskMeta]:
        if self._is_closed:
            return []
        try:
            return self._run(BackendGetMetaError, lambda link: results.load_final(link, ids))
        except BackendError:
            if self._is_closed:
                return []
            raise

    def _join(self, bulletin: Bulletin, waiter: Waiter) -> None:
        with self._translated(BackendGetMetaError):
            bulletin.join(waiter)

    def _listening(self) -> Bulletin:
        with self._waiting:
            if self._bulletin is None:
                self._bulletin = Bulletin(self._connect, results.channel(self._address.schema))
            return self._bulletin

    # -- the connection -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Start with nothing: at first, and in a forked child, where locks may be held by threads that are not there."""
        _inherited.extend(one for one in (self._link, self._bulletin) if one is not None)
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._waiting = threading.Lock()
        self._link = None
        self._bulletin = None
        self._is_closed = False
        self._used_at = 0.0

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            self._begin()

    def _run(self, error_class: type[BackendError], action: Callable[[Link], T]) -> T:
        """Do *action* with the connection, which no other thread has meanwhile; once more on a new one if it is lost.

        All actions may be repeated: results and parts that are stored already are refused or not counted.
        """
        self._check_process()
        with self._lock, self._translated(error_class):
            for is_last in (False, True):
                link = self._opened()
                try:
                    answer = action(link)
                except psycopg.Error as error:
                    is_lost = link.is_lost(error)
                    if is_lost:
                        self._drop()
                    if is_last or isinstance(error, TooLateError) or not (is_lost or isinstance(error, _AGAIN)):
                        raise
                else:
                    self._used_at = time.monotonic()
                    return answer
            raise AssertionError("the second round ends by return or raise")

    def _is_stale(self) -> bool:
        """Whether the connection may have been lost without our knowing: not when it was used right now."""
        return time.monotonic() - self._used_at > 1.0

    def _opened(self) -> Link:
        if self._is_closed:
            raise BackendError(f"expected an open result backend, got the closed one of {self._address.masked}")
        if self._link is None:
            connection = self._connect()
            link = Link(connection, self._address.schema)
            try:
                migrate(link)
            except BaseException:
                connection.close()
                raise
            self._link = link
        return self._link

    def _connect(self) -> Connection:
        return connect(self._address, self._timeout_s, self._settings.command_timeout_s)

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.connection.close()

    @contextlib.contextmanager
    def _translated(self, error_class: type[BackendError]) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise error_class(explain(error, self._address.masked)) from error


def _in_one_batch(action: Callable[[Link], T]) -> Callable[[Link], T]:
    def run(link: Link) -> T:
        with link.batch():
            return action(link)

    return run
