"""A folder in which files are replaced in one step, under locks that die with their process."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from typing import Final

__all__ = ["EXPIRES_NEVER_NS", "Folder"]

_PLAIN: Final = re.compile(rb"[a-z0-9_@-]")
#: File systems allow 255 bytes.
_MOST: Final = 200
_LOCKS: Final = 16
#: Half-written files of the dead are swept away after this.
_STALE_S: Final = 3600.0
#: A file's modification time says when it may be removed, so that a sweep need not open it; this one says never.
EXPIRES_NEVER_NS: Final = 0


class Folder:
    """The folder *root*. Every method is thread-safe; an instance is not used on both sides of a fork."""

    def __init__(self, root: str, *, fsync: bool) -> None:
        self.root = root
        self._fsync = fsync
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        self._lock_files: list[int] = []

    def open(self) -> None:
        """Make the folders, and sweep away what was half-written long ago."""
        for name in ("results", "groups", "chords", "locks", "new"):
            os.makedirs(self.path(name), mode=0o700, exist_ok=True)
        if not self._lock_files:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._lock_files = [os.open(self.path("locks", str(number)), flags, 0o600) for number in range(_LOCKS)]
        before = time.time() - _STALE_S
        for entry in os.scandir(self.path("new")):
            with contextlib.suppress(OSError):
                if entry.stat().st_ctime < before:  # the other time is the expiry's
                    shutil.rmtree(entry.path) if entry.is_dir() else os.unlink(entry.path)

    def close(self) -> None:
        """Let go of the locks' files."""
        files, self._lock_files = self._lock_files, []
        for number, file in enumerate(files):
            with self._locks[number]:
                os.close(file)

    def path(self, *names: str) -> str:
        """Return a path inside of the folder."""
        return os.path.join(self.root, *names)

    def place(self, kind: str, name: str) -> str:
        """Return the path for *name*, spread over 256 folders."""
        return self.path(kind, hashlib.sha256(_bytes(name)).hexdigest()[:2], self.quote(name))

    @staticmethod
    def quote(name: str) -> str:
        """Return *name* as a file's name: ``%XX`` for what is not plain, capitals too (some systems ignore case)."""
        data = _bytes(name)
        quoted = "".join(chr(byte) if _PLAIN.match(bytes([byte])) else f"%{byte:02x}" for byte in data) or "%"
        if len(quoted) <= _MOST:
            return quoted
        return f"{quoted[: _MOST - 66]}%%{hashlib.sha256(data).hexdigest()}"

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the lock of *name* (shared with other names): against other threads, and against other processes."""
        number = hashlib.sha256(_bytes(name)).digest()[0] % _LOCKS
        with self._locks[number]:
            if not self._lock_files:
                raise OSError("it is not open")
            file = self._lock_files[number]
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)

    def read(self, path: str) -> bytes | None:
        """Return what is in the file at *path*; ``None`` without one."""
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes, expires_s: float | None) -> None:
        """Put *data* at *path* in one step."""
        written = self.path("new", os.urandom(8).hex())
        try:
            descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                if self._fsync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self.set_expiry(written, expires_s)
            try:
                os.replace(written, path)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                os.replace(written, path)
            if self._fsync:
                _sync_folder(os.path.dirname(path))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(written)
            raise

    @staticmethod
    def set_expiry(path: str, expires_s: float | None) -> None:
        """Note in the file's modification time when it may be removed."""
        now = time.time_ns()
        os.utime(path, ns=(now, EXPIRES_NEVER_NS if expires_s is None else now + int(expires_s * 1e9)))

    @staticmethod
    def is_over(path: str, before: float) -> bool:
        """Say whether the time of the file at *path* was over at *before*."""
        try:
            expires_ns = os.stat(path).st_mtime_ns
        except FileNotFoundError:
            return False
        return expires_ns != EXPIRES_NEVER_NS and expires_ns <= before * 1e9

    @staticmethod
    def remove(path: str) -> bool:
        """Remove the file at *path*; say whether there was one."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        return True


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
