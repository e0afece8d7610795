"""The result backend over a folder."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import Final

from umbel.doorbell import Doorbell, Listener
from umbel.exceptions import BackendGetMetaError, BackendStoreError, ImproperlyConfigured
from umbel.model import ChordPart, JoinedChord, TaskMeta
from umbel.spi import BackendCapabilities, ResultBackend
from umbel_backend_filesystem.chords import Chords
from umbel_backend_filesystem.documents import decode_meta, encode_meta
from umbel_backend_filesystem.folder import Folder

__all__ = ["CAPABILITIES", "FilesystemBackend"]

CAPABILITIES = BackendCapabilities(push=True, durable=True, many_processes=True)

#: A ring may be lost with the process that was about to give it: look again after this.
_LOOK_AGAIN_S: Final = 1.0


def _read_url(url: str) -> tuple[str, bool]:
    """Return the folder and whether to sync to the disk."""
    parts = urllib.parse.urlsplit(url)
    root = urllib.parse.unquote(parts.netloc + parts.path)
    if not root.strip("/"):
        raise ImproperlyConfigured(
            f"expected a folder in the result backend's URL, got {url!r}: write filesystem:///absolute/folder, or "
            "filesystem://folder for one beside the working directory"
        )
    options = dict(urllib.parse.parse_qsl(parts.query))
    fsync = options.pop("fsync", "false").lower()
    if options or fsync not in {"true", "false", "1", "0"}:
        raise ImproperlyConfigured(f"expected no option but fsync=true or fsync=false in {url!r}, got {parts.query!r}")
    return os.path.abspath(os.path.expanduser(root)), fsync in {"true", "1"}


class FilesystemBackend(ResultBackend):
    """Results in the folder that *url* names, which is made when it is opened."""

    capabilities = CAPABILITIES

    def __init__(self, url: str) -> None:
        self.root, fsync = _read_url(url)
        self._folder = Folder(self.root, fsync=fsync)
        self._chords = Chords(self._folder)
        self._bell = Doorbell(os.path.join(self.root, "bell"))
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._is_open = False

    def open(self, timeout_s: float) -> None:
        with self._writing("open the result store"), self._lock:
            self._folder.open()
            self._is_open = True

    def close(self) -> None:
        with self._lock:
            self._is_open = False
            for listener in self._listeners:
                listener.wake()
        self._folder.close()
        self._bell.close()

    def store(self, metas: Sequence[TaskMeta]) -> None:
        for meta in metas:
            with self._writing("store a result", meta.task_id, meta.state), self._folder.locked(meta.task_id):
                path = self._folder.place("results", meta.task_id)
                if meta.may_replace(self._stored(path)):
                    self._folder.write(path, encode_meta(meta), meta.expires_s)
        self._bell.ring([meta.task_id for meta in metas if meta.is_final])

    def load(self, ids: Sequence[str]) -> Sequence[TaskMeta | None]:
        return [self._load(task_id) for task_id in ids]

    def forget(self, ids: Sequence[str]) -> None:
        for task_id in ids:
            with self._writing("forget a result", task_id), self._folder.locked(task_id):
                self._folder.remove(self._folder.place("results", task_id))

    def wait(self, ids: Sequence[str], timeout_s: float) -> Sequence[TaskMeta]:
        deadline = time.monotonic() + timeout_s
        if final := self._final(ids):
            return final
        with self._listening(ids) as listener:
            while self._is_open:
                listener.arm()
                # What was stored, and whether the backend was closed, before the arming is seen here.
                if final := self._final(ids):
                    listener.disarm()
                    return final
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not self._is_open:
                    break
                listener.wait(min(left_s, _LOOK_AGAIN_S))
        return []

    def save_group(self, group_id: str, payload: bytes | None, expires_s: float | None = None) -> None:
        with self._writing("save a group"), self._folder.locked(group_id):
            path = self._folder.place("groups", group_id)
            if payload is None:
                self._folder.remove(path)
            else:
                self._folder.write(path, payload, expires_s)

    def load_group(self, group_id: str) -> bytes | None:
        try:
            return self._folder.read(self._folder.place("groups", group_id))
        except OSError as error:
            raise BackendGetMetaError(f"cannot read the group {group_id} in {self.root}: {error}") from error

    def join(self, parts: Sequence[ChordPart]) -> Sequence[JoinedChord]:
        joined: list[JoinedChord] = []
        for part in parts:
            with self._writing("join a chord", part.task_id, part.state):
                if (chord := self._chords.join(part)) is not None:
                    joined.append(chord)
        return joined

    def conclude(self, group_ids: Sequence[str]) -> None:
        with self._writing("conclude a chord"):
            for group_id in group_ids:
                self._chords.conclude(group_id)

    def expire(self, before: float) -> int:
        removed = 0
        with self._writing("remove old results"):
            self._sweep("groups", before)
            self._chords.expire(before)
            removed += self._sweep("results", before)
        return removed

    # -- inner --------------------------------------------------------------------------------------------------------

    def _sweep(self, kind: str, before: float) -> int:
        removed = 0
        for shard in os.scandir(self._folder.path(kind)):
            for entry in os.scandir(shard.path):
                # Without the name's lock: whoever writes anew in between loses what he wrote only if its time is over.
                if self._folder.is_over(entry.path, before):
                    removed += self._folder.remove(entry.path)
        return removed

    def _stored(self, path: str) -> TaskMeta | None:
        data = self._folder.read(path)
        try:
            return None if data is None else decode_meta(data)
        except ValueError:
            return None  # what cannot be read does not stand in the way of what can

    def _load(self, task_id: str) -> TaskMeta | None:
        try:
            data = self._folder.read(self._folder.place("results", task_id))
            return None if data is None else decode_meta(data)
        except (OSError, ValueError) as error:
            raise BackendGetMetaError(
                f"cannot read the result of the task {task_id} in {self.root}: {error}", task_id=task_id
            ) from error

    def _final(self, ids: Sequence[str]) -> list[TaskMeta]:
        return [meta for task_id in ids if (meta := self._load(task_id)) is not None and meta.is_final]

    @contextlib.contextmanager
    def _listening(self, ids: Sequence[str]) -> Iterator[Listener]:
        listener = self._bell.listen(ids)
        with self._lock:
            self._listeners.add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners.discard(listener)
            listener.close()

    @contextlib.contextmanager
    def _writing(self, doing: str, task_id: str = "", state: str = "") -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise BackendStoreError(
                f"cannot {doing} in the folder {self.root}: {error}; see that it exists, is writable and has room",
                task_id=task_id,
                state=state,
            ) from error
