"""A named space of results, shared by every connection of this process to it."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Final

import attrs

from umbel.exceptions import BackendError
from umbel.model import ChordPart, JoinedChord, TaskMeta

__all__ = ["Space", "find_space"]


@attrs.define(eq=False)
class _Chord:
    """The members of a chord that have come in, as a set."""

    parts: dict[str, ChordPart] = attrs.field(factory=dict)
    size: int | None = None
    completed_by: str | None = None

    def add(self, part: ChordPart) -> bool:
        """Count *part* in; say whether its giver gets the chord: it completed it, now or before."""
        if self.completed_by is not None:
            return self.completed_by == part.task_id
        self.parts.setdefault(part.task_id, part)
        self.size = part.size if part.size is not None else self.size
        if self.size is None or len(self.parts) < self.size + sum(known.extra for known in self.parts.values()):
            return False
        self.completed_by = part.task_id
        return True

    def in_order(self) -> list[ChordPart]:
        """Return the parts in the header's order, those without an index last."""
        return sorted(self.parts.values(), key=lambda part: (part.index is None, part.index or 0))


@attrs.define(eq=False)
class _Kept:
    """Anything kept, and when its time is over."""

    value: TaskMeta | bytes | _Chord
    expires_at: float | None


class Space:
    """Results, groups and chords under one lock. Every method is thread-safe."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._ends: list[tuple[float, tuple[str, str]]] = []
        self._waiting: dict[str, set[threading.Event]] = {}

    def check_process(self) -> None:
        """Raise ``BackendError`` in a process that inherited this space by a fork: nobody else would see its results."""
        if os.getpid() != self._pid:
            raise BackendError(
                f"expected memory://{self.name} to be used in the process {self._pid} that made it, got used in its "
                f"forked child {os.getpid()}: choose a pool that lives in the worker (threads, asyncio, solo), or a "
                "result backend that processes can share (sqlite, filesystem)"
            )

    def store(self, metas: Iterable[TaskMeta]) -> None:
        """Write *metas*, each under the rule, and wake who waits for the final ones."""
        with self._lock:
            self._sweep(time.time())
            for meta in metas:
                stored = self._find("task", meta.task_id)
                if meta.may_replace(stored if isinstance(stored, TaskMeta) else None):
                    self._keep("task", meta.task_id, meta, meta.expires_s)
                    if meta.is_final:
                        for event in self._waiting.get(meta.task_id, ()):
                            event.set()

    def load(self, ids: Sequence[str]) -> list[TaskMeta | None]:
        """Return what is kept of *ids*."""
        with self._lock:
            return self._load(ids)

    def load_final(self, ids: Sequence[str], woken: threading.Event) -> list[TaskMeta]:
        """Return those of *ids* that are final; when none is, have *woken* set as soon as one is."""
        with self._lock:
            final = [meta for meta in self._load(ids) if meta is not None and meta.is_final]
            if not final:
                for task_id in ids:
                    self._waiting.setdefault(task_id, set()).add(woken)
            return final

    def stop_waiting(self, ids: Sequence[str], woken: threading.Event) -> None:
        """Undo what :meth:`load_final` did."""
        with self._lock:
            for task_id in ids:
                events = self._waiting.get(task_id)
                if events is not None:
                    events.discard(woken)
                    if not events:
                        del self._waiting[task_id]

    def forget(self, ids: Iterable[str]) -> None:
        """Remove what is kept of *ids*."""
        with self._lock:
            for task_id in ids:
                self._kept.pop(("task", task_id), None)

    def save_group(self, group_id: str, payload: bytes | None, expires_s: float | None) -> None:
        """Keep or remove a group."""
        with self._lock:
            if payload is None:
                self._kept.pop(("group", group_id), None)
            else:
                self._keep("group", group_id, payload, expires_s)

    def load_group(self, group_id: str) -> bytes | None:
        """Return a kept group."""
        with self._lock:
            self._sweep(time.time())
            value = self._find("group", group_id)
            return value if isinstance(value, bytes) else None

    def join(self, parts: Iterable[ChordPart]) -> list[JoinedChord]:
        """Count *parts* in; return the chords whose completing part is among them."""
        joined: list[JoinedChord] = []
        with self._lock:
            self._sweep(time.time())
            for part in parts:
                chord = self._find("chord", part.group_id)
                if not isinstance(chord, _Chord):
                    chord = _Chord()
                if chord.completed_by is None:
                    self._keep("chord", part.group_id, chord, part.expires_s)
                if chord.add(part):
                    joined.append(JoinedChord(part.group_id, chord.in_order(), part.body))
        return joined

    def conclude(self, group_ids: Iterable[str]) -> None:
        """Give these chords to nobody any more."""
        with self._lock:
            for group_id in group_ids:
                chord = self._find("chord", group_id)
                if isinstance(chord, _Chord):
                    chord.completed_by = ""
                    chord.parts.clear()

    def expire(self, before: float) -> int:
        """Remove what is over at *before*; return how many results that were."""
        with self._lock:
            return self._sweep(before)

    # -- with the lock held -------------------------------------------------------------------------------------------

    def _load(self, ids: Sequence[str]) -> list[TaskMeta | None]:
        self._sweep(time.time())
        found = [self._find("task", task_id) for task_id in ids]
        return [value if isinstance(value, TaskMeta) else None for value in found]

    def _find(self, kind: str, name: str) -> TaskMeta | bytes | _Chord | None:
        kept = self._kept.get((kind, name))
        return None if kept is None else kept.value

    def _keep(self, kind: str, name: str, value: TaskMeta | bytes | _Chord, expires_s: float | None) -> None:
        expires_at = None if expires_s is None else time.time() + expires_s
        self._kept[kind, name] = _Kept(value, expires_at)
        if expires_at is not None:
            heappush(self._ends, (expires_at, (kind, name)))

    def _sweep(self, before: float) -> int:
        removed = 0
        while self._ends and self._ends[0][0] <= before:
            expires_at, key = heappop(self._ends)
            kept = self._kept.get(key)
            if kept is not None and kept.expires_at == expires_at:  # not written anew since
                del self._kept[key]
                removed += key[0] == "task"
        return removed


class _Spaces:
    """The spaces of this process, by name. Each lives as long as an application that used it, or a connection to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: weakref.WeakValueDictionary[str, Space] = weakref.WeakValueDictionary()
        self._kept_by: weakref.WeakKeyDictionary[object, set[Space]] = weakref.WeakKeyDictionary()
        # Another thread may hold the lock while this one forks.
        os.register_at_fork(after_in_child=self._renew_lock)

    def find(self, name: str, app: object) -> Space:
        """Return the space *name*, made when it is first asked for, and kept for *app*."""
        with self._lock:
            space = self._by_name.get(name)
            if space is None:
                space = self._by_name[name] = Space(name)
            # Without an application it stays for good.
            self._kept_by.setdefault(app or self, set()).add(space)
            return space

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()


_spaces: Final = _Spaces()
#: Returns the space of a name, made when it is first asked for, and kept for an application.
find_space: Final = _spaces.find
