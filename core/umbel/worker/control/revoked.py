"""What this worker knows to be revoked, and the gate at which it is asked."""

from __future__ import annotations

import collections
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from umbel.spi import Revocation, RevocationStore, Transport
from umbel.worker.endings import Ending
from umbel.worker.failures import Failures
from umbel.worker.held import Held

if TYPE_CHECKING:
    from umbel.worker.admission import Admission

__all__ = ["Revoked"]

logger = logging.getLogger("umbel.worker.control")

#: Celery's bound of what is kept in memory.
_MOST: Final = 50_000
#: How long the first message waits for the store to say what is revoked.
_FIRST_LOOK_S: Final = 10.0


class Revoked:
    """Ids and stamps of revoked tasks. Any thread may add and ask; :meth:`exchange` is for the thread of a transport.

    The gate stands in the way of messages only while something is revoked, and costs them one look into a table.
    """

    def __init__(self, admission: Admission, failures: Failures, expires_s: float) -> None:
        #: Called with what is new, by whoever brings it.
        self.on_new: Callable[[Sequence[Revocation]], None] = lambda new: None
        self._admission = admission
        self._failures = failures
        self._expires_s = expires_s
        self._most = int(os.environ.get("CELERY_WORKER_REVOKES_MAX") or _MOST)
        self._ids: dict[str, float] = {}
        self._stamps: dict[str, dict[str, float]] = {}
        self._unwritten: collections.deque[Revocation] = collections.deque()
        self._cursor: Any = None
        self._loaded = threading.Event()
        self._lock = threading.Lock()
        self._has_gate = False

    # -- asking -------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._ids) + sum(map(len, self._stamps.values()))

    def ids(self) -> list[str]:
        """Return the revoked ids, the oldest first."""
        return list(self._ids)

    def stamps(self) -> dict[str, list[str]]:
        """Return the revoked stamps, by header."""
        return {header: list(values) for header, values in self._stamps.items()}

    def includes(self, held: Held) -> bool:
        """Say whether *held* is not to run."""
        return held.task_id in self._ids or (bool(self._stamps) and self._has_revoked_stamp(held))

    def _has_revoked_stamp(self, held: Held) -> bool:
        stamps = held.headers.get("stamps")
        if not isinstance(stamps, dict):
            return False
        for header, revoked in self._stamps.items():
            values = stamps.get(header)
            for value in values if isinstance(values, list | tuple) else [values]:
                if value is not None and str(value) in revoked:
                    return True
        return False

    def gate(self, held: Held) -> Ending | None:
        """End what is revoked; see :data:`umbel.worker.admission.Gate`."""
        return self._failures.revoked(held, "revoked") if self.includes(held) else None

    # -- adding -------------------------------------------------------------------------------------------------------

    def add(self, revocations: Iterable[Revocation], *, write: bool = False) -> list[Revocation]:
        """Take note; return what is new. With *write* it is told to the store too, with the next :meth:`exchange`."""
        now = time.time()
        with self._lock:
            new = [revocation for revocation in revocations if self._enter(revocation, now)]
            self._forget(now)
            if write:
                self._unwritten.extend(new)
            self._set_gate()
        if new:
            self.on_new(new)
        return new

    def _enter(self, revocation: Revocation, now: float) -> bool:
        header = revocation.header
        table = self._ids if header is None else self._stamps.setdefault(header, {})
        is_new = table.pop(revocation.value, None) is None
        table[revocation.value] = now
        return is_new

    def _forget(self, now: float) -> None:
        """Keep to the bound; what is old goes first."""
        for table in (self._ids, *self._stamps.values()):
            while len(table) > self._most:
                del table[next(iter(table))]
        over = now - self._expires_s
        while self._ids and next(iter(self._ids.values())) < over:
            del self._ids[next(iter(self._ids))]

    def _set_gate(self) -> None:
        wanted = bool(self._ids or self._stamps)
        if wanted != self._has_gate:
            self._has_gate = wanted
            # A new list: the intake may be in the middle of the old one.
            others = [gate for gate in self._admission.gates if gate != self.gate]
            self._admission.gates = [self.gate, *others] if wanted else others

    def kept(self) -> dict[str, Any]:
        """Return what a state file keeps."""
        with self._lock:
            return {"revoked": dict(self._ids), "revoked_stamps": {name: dict(of) for name, of in self._stamps.items()}}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take in what a state file has kept; what is too old is left out."""
        over = time.time() - self._expires_s
        tables = [(None, kept.get("revoked")), *(kept.get("revoked_stamps") or {}).items()]
        self.add(
            Revocation(value, header)
            for header, table in tables
            for value, at in (table or {}).items()
            if isinstance(at, int | float) and at > over
        )

    # -- the store ----------------------------------------------------------------------------------------------------

    def expect_store(self) -> None:
        """Let no message through before the store was asked for the first time."""
        self._admission.gates = [self._wait_for_store, *self._admission.gates]

    def _wait_for_store(self, held: Held) -> Ending | None:
        if not self._loaded.wait(_FIRST_LOOK_S):
            logger.error("the store did not tell within %g s what is revoked; tasks are run without it", _FIRST_LOOK_S)
            self._open()
        return self.gate(held)

    def _open(self) -> None:
        self._loaded.set()
        with self._lock:
            self._admission.gates = [gate for gate in self._admission.gates if gate != self._wait_for_store]

    def write(self, transport: Transport) -> None:
        """Write what the store does not know; cheap when that is nothing. Raises ``OperationalError``."""
        while self._unwritten and isinstance(transport, RevocationStore):
            batch = list(self._unwritten)
            transport.revoke(batch, self._expires_s)
            for _ in batch:
                self._unwritten.popleft()

    def exchange(self, transport: Transport) -> None:
        """Write what the store does not know, and read what is new there. Raises ``OperationalError``."""
        self.write(transport)
        if isinstance(transport, RevocationStore):
            found, self._cursor = transport.revocations(self._cursor)
            if found:
                self.add(found)
        if not self._loaded.is_set():
            self._open()
