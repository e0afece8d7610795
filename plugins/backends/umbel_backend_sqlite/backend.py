"""The result backend: one connection behind a lock, and a listener for each thread that waits."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Final

from umbel.doorbell import Doorbell, Listener
from umbel.exceptions import BackendError, BackendGetMetaError, BackendStoreError
from umbel.model import ChordPart, JoinedChord, TaskMeta
from umbel.spi import BackendCapabilities, JointBackend, ResultBackend
from umbel.sqlite_file import Connection, SqliteFile, explain, migrate, transaction
from umbel_backend_sqlite import chords, results
from umbel_backend_sqlite.schema import COMPONENT, SCRIPTS

__all__ = ["SqliteBackend"]

#: Who waits looks at the store at least this often, whatever the doorbell says.
_LOOK_AGAIN_S: Final = 1.0
_IDLE_LISTENERS: Final = 8


class SqliteBackend(ResultBackend, JointBackend):
    """Results in an SQLite file, for all processes of one machine."""

    capabilities: ClassVar[BackendCapabilities] = BackendCapabilities(push=True, durable=True, many_processes=True)

    _opened: Connection | None
    _is_closed: bool

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._begin()

    def open(self, timeout_s: float) -> None:
        with self._using(BackendError):
            self._is_closed = False
            if self._opened is None:
                self._connect(timeout_s)

    def close(self) -> None:
        if self._pid != os.getpid():
            return
        self._is_closed = True
        with self._waiting_lock:
            for listener in self._waiting:
                listener.wake()
        with self._lock:
            connection, self._opened = self._opened, None
            if connection is not None:
                connection.close()
        while self._idle:
            self._idle.pop().close()
        self._bell.close()

    def store(self, metas: Sequence[TaskMeta]) -> None:
        if not metas:
            return
        with self._using(BackendStoreError):
            connection = self._connection()
            if len(metas) == 1:
                connection.retrying(lambda: results.write(connection, metas))
            else:
                with transaction(connection):
                    results.write(connection, metas)
        self._ring(metas)

    def load(self, ids: Sequence[str]) -> Sequence[TaskMeta | None]:
        with self._using(BackendGetMetaError):
            return results.load(self._connection(), ids)

    def forget(self, ids: Sequence[str]) -> None:
        with self._using(BackendStoreError), transaction(self._connection()) as connection:
            results.forget(connection, ids)

    def wait(self, ids: Sequence[str], timeout_s: float) -> Sequence[TaskMeta]:
        give_up = time.monotonic() + timeout_s
        found = self._final(ids)
        if found or timeout_s <= 0 or self._is_closed:
            return found
        with self._listening(ids) as listener:
            while True:
                # In this order: what is stored after the arming rings, what was stored before is seen by the look.
                listener.arm()
                found = self._final(ids)
                left_s = give_up - time.monotonic()
                if found or left_s <= 0 or self._is_closed:
                    listener.disarm()
                    return found
                listener.wait(min(left_s, _LOOK_AGAIN_S))

    def save_group(self, group_id: str, payload: bytes | None, expires_s: float | None = None) -> None:
        with self._using(BackendStoreError), transaction(self._connection()) as connection:
            results.save_group(connection, group_id, payload, expires_s)

    def load_group(self, group_id: str) -> bytes | None:
        with self._using(BackendGetMetaError):
            return results.load_group(self._connection(), group_id)

    def join(self, parts: Sequence[ChordPart]) -> Sequence[JoinedChord]:
        if not parts:
            return []
        with self._using(BackendStoreError), transaction(self._connection()) as connection:
            return chords.join(connection, parts)

    def conclude(self, group_ids: Sequence[str]) -> None:
        with self._using(BackendStoreError), transaction(self._connection()) as connection:
            chords.conclude(connection, group_ids)

    def expire(self, before: float) -> int:
        with self._using(BackendStoreError):
            return results.expire(self._connection(), before)

    # -- together with a transport in the same file -------------------------------------------------------------------

    @property
    def store_identity(self) -> str:
        return self._file.identity

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self._using(BackendStoreError), transaction(self._connection()) as connection:
            yield connection

    def store_jointly(
        self, transaction: Connection, metas: Sequence[TaskMeta], parts: Sequence[ChordPart]
    ) -> tuple[Sequence[JoinedChord], Callable[[], None] | None]:
        if metas:
            results.write(transaction, metas)
        joined = chords.join(transaction, parts) if parts else []
        chords.conclude(transaction, [chord.group_id for chord in joined])
        return joined, (lambda: self._ring(metas)) if metas else None

    # -- waiting ------------------------------------------------------------------------------------------------------

    def _final(self, ids: Sequence[str]) -> list[TaskMeta]:
        with self._using(BackendGetMetaError):
            if self._is_closed:
                return []
            return results.load_final(self._connection(), ids)

    def _ring(self, metas: Sequence[TaskMeta]) -> None:
        self._bell.ring(results.topic_of(meta.task_id) for meta in metas if meta.is_final)

    @contextlib.contextmanager
    def _listening(self, ids: Sequence[str]) -> Iterator[Listener]:
        with self._waiting_lock:
            listener = self._idle.pop() if self._idle else None
        if listener is None:
            listener = self._bell.listen()
        listener.listen_to(map(results.topic_of, ids))
        with self._waiting_lock:
            self._waiting.add(listener)
        try:
            yield listener
        finally:
            with self._waiting_lock:
                self._waiting.discard(listener)
                is_kept = not self._is_closed and len(self._idle) < _IDLE_LISTENERS
                if is_kept:
                    self._idle.append(listener)
            if not is_kept:
                listener.close()

    # -- the connection -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Start with nothing: at first, and in a forked child, where locks may be held by threads that are not there."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._waiting_lock = threading.RLock()
        self._bell = Doorbell(self._file.bell_directory)
        self._opened = None
        self._is_closed = False
        self._waiting: set[Listener] = set()
        self._idle: list[Listener] = []

    @contextlib.contextmanager
    def _using(self, error_class: type[BackendError]) -> Iterator[None]:
        """Have the connection for this thread alone; the driver's errors come out as *error_class*."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise error_class(explain(error, self._file.path)) from error

    def _connection(self) -> Connection:
        if self._is_closed:
            raise BackendError(f"expected an open result backend, got the closed one of {self._file.path}: call open()")
        return self._opened or self._connect(self._file.busy_timeout_s)

    def _connect(self, timeout_s: float) -> Connection:
        connection = self._file.connect(timeout_s)
        try:
            migrate(connection, COMPONENT, SCRIPTS, timeout_s)
        except BaseException:
            connection.close()
            raise
        self._opened = connection
        return connection
