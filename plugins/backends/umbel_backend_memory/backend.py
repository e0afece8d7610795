"""A connection to a space of results."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from umbel.exceptions import BackendError
from umbel.model import ChordPart, JoinedChord, TaskMeta
from umbel.spi import BackendCapabilities, ResultBackend
from umbel_backend_memory.space import Space, find_space

__all__ = ["CAPABILITIES", "MemoryBackend"]

CAPABILITIES = BackendCapabilities(push=True, expires=True)


class MemoryBackend(ResultBackend):
    """A connection to the space that *url* names: the text after ``memory://``, slashes at its end taken off."""

    capabilities = CAPABILITIES

    def __init__(self, url: str, app: object = None) -> None:
        self.url = url
        self._app = app
        self._space: Space | None = None
        self._lock = threading.Lock()
        self._waits: set[threading.Event] = set()

    def open(self, timeout_s: float) -> None:
        space = find_space(self.url.partition("://")[2].partition("?")[0].rstrip("/"), self._app)
        space.check_process()
        self._space = space

    def close(self) -> None:
        with self._lock:
            self._space = None
            for woken in self._waits:
                woken.set()

    def store(self, metas: Sequence[TaskMeta]) -> None:
        self._opened().store(metas)

    def load(self, ids: Sequence[str]) -> Sequence[TaskMeta | None]:
        return self._opened().load(ids)

    def forget(self, ids: Sequence[str]) -> None:
        self._opened().forget(ids)

    def wait(self, ids: Sequence[str], timeout_s: float) -> Sequence[TaskMeta]:
        deadline = time.monotonic() + timeout_s
        woken = threading.Event()
        with self._lock:
            space = self._space
            self._waits.add(woken)
        if space is None:
            return []
        space.check_process()
        try:
            # Another thread may forget a result between its coming and the look: then the waiting goes on.
            while self._space is space:
                if final := space.load_final(ids, woken):
                    return final
                if not woken.wait(max(0.0, deadline - time.monotonic())):
                    break
                woken.clear()
            return []
        finally:
            space.stop_waiting(ids, woken)
            with self._lock:
                self._waits.discard(woken)

    def save_group(self, group_id: str, payload: bytes | None, expires_s: float | None = None) -> None:
        self._opened().save_group(group_id, payload, expires_s)

    def load_group(self, group_id: str) -> bytes | None:
        return self._opened().load_group(group_id)

    def join(self, parts: Sequence[ChordPart]) -> Sequence[JoinedChord]:
        return self._opened().join(parts)

    def conclude(self, group_ids: Sequence[str]) -> None:
        self._opened().conclude(group_ids)

    def expire(self, before: float) -> int:
        return self._opened().expire(before)

    def _opened(self) -> Space:
        space = self._space
        if space is None:
            raise BackendError(f"expected {self.url} to be open, got used before open() or after close()")
        space.check_process()
        return space
