"""The result backend ``demo``: results in this process, to be replaced by your store."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs

from umbel.hookspecs import hookimpl
from umbel.model import ChordPart, JoinedChord, PluginInfo, TaskMeta
from umbel.spi import BackendCapabilities, ResultBackend

__all__ = ["DemoBackend", "plugin_info", "umbel_backend"]

CAPABILITIES = BackendCapabilities(push=True)


@attrs.define
class _Chord:
    parts: dict[str, ChordPart] = attrs.field(factory=dict)
    size: int | None = None  # told by any part
    completed_by: str | None = None
    is_concluded: bool = False


class _Store:
    """The results behind one URL; ``changed`` guards them, and wakes who waits for one."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.metas: dict[str, tuple[TaskMeta, float | None]] = {}  # with the Unix time when each is over
        self.groups: dict[str, tuple[bytes, float | None]] = {}
        self.chords: dict[str, _Chord] = {}


_stores: dict[str, _Store] = {}


def _deadline(expires_s: float | None) -> float | None:
    return None if expires_s is None else time.time() + expires_s


def _is_alive(deadline: float | None) -> bool:
    return deadline is None or deadline > time.time()


class DemoBackend(ResultBackend):
    """Results behind a URL."""

    capabilities: ClassVar[BackendCapabilities] = CAPABILITIES

    def __init__(self, url: str) -> None:
        self._store = _stores.setdefault(url, _Store())
        self._is_open = True

    def open(self, timeout_s: float) -> None:
        self._is_open = True

    def close(self) -> None:
        with self._store.changed:
            self._is_open = False
            self._store.changed.notify_all()

    def store(self, metas: Sequence[TaskMeta]) -> None:
        with self._store.changed:
            for meta in metas:
                if meta.may_replace(self._find(meta.task_id)):
                    self._store.metas[meta.task_id] = meta, _deadline(meta.expires_s)
            self._store.changed.notify_all()

    def _find(self, task_id: str) -> TaskMeta | None:
        meta, deadline = self._store.metas.get(task_id, (None, None))
        return meta if _is_alive(deadline) else None

    def load(self, ids: Sequence[str]) -> Sequence[TaskMeta | None]:
        with self._store.changed:
            return [self._find(task_id) for task_id in ids]

    def forget(self, ids: Sequence[str]) -> None:
        with self._store.changed:
            for task_id in ids:
                self._store.metas.pop(task_id, None)

    def wait(self, ids: Sequence[str], timeout_s: float) -> Sequence[TaskMeta]:
        def final() -> list[TaskMeta]:
            return [meta for meta in map(self._find, ids) if meta is not None and meta.is_final]

        with self._store.changed:
            self._store.changed.wait_for(lambda: not self._is_open or final(), timeout_s)
            return final() if self._is_open else []

    def save_group(self, group_id: str, payload: bytes | None, expires_s: float | None = None) -> None:
        with self._store.changed:
            self._store.groups.pop(group_id, None)
            if payload is not None:
                self._store.groups[group_id] = payload, _deadline(expires_s)

    def load_group(self, group_id: str) -> bytes | None:
        with self._store.changed:
            payload, deadline = self._store.groups.get(group_id, (None, None))
            return payload if _is_alive(deadline) else None

    def join(self, parts: Sequence[ChordPart]) -> Sequence[JoinedChord]:
        with self._store.changed:
            return [joined for part in parts if (joined := self._join(part)) is not None]

    def _join(self, part: ChordPart) -> JoinedChord | None:
        chord = self._store.chords.setdefault(part.group_id, _Chord())
        if chord.completed_by is None:
            chord.parts.setdefault(part.task_id, part)
            chord.size = part.size if chord.size is None else chord.size
            added = sum(one.extra for one in chord.parts.values())
            if chord.size is not None and len(chord.parts) >= chord.size + added:
                chord.completed_by = part.task_id
        if chord.completed_by != part.task_id or chord.is_concluded:
            return None
        ordered = sorted(chord.parts.values(), key=lambda one: (one.index is None, one.index or 0))
        return JoinedChord(part.group_id, ordered, part.body)

    def conclude(self, group_ids: Sequence[str]) -> None:
        with self._store.changed:
            for group_id in group_ids:
                if group_id in self._store.chords:
                    self._store.chords[group_id].is_concluded = True

    def expire(self, before: float) -> int:
        with self._store.changed:
            over = [key for key, (_, end) in self._store.metas.items() if end is not None and end <= before]
            for key in over:
                del self._store.metas[key]
            return len(over)


plugin_info = PluginInfo(
    kind="backend",
    names=("demo",),
    summary="results in this process",
    capabilities=CAPABILITIES,
    testing_url="demo://{unique}",
)


@hookimpl
def umbel_backend(app: Any, url: str) -> ResultBackend:
    """Make a backend; it is opened later."""
    return DemoBackend(url)
