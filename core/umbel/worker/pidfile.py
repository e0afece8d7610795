"""A file that says which process is the worker, and keeps a second one away."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os

from umbel.exceptions import UmbelError

__all__ = ["PidFile", "PidFileTaken", "has_process"]


class PidFileTaken(UmbelError):
    """Raised when the pid file names a process that lives."""

    def __init__(self, path: str, pid: int) -> None:
        super().__init__(
            f"pid file {path} names process {pid}, which is running; is this worker started already? "
            f"Stop it, or give another --pidfile (%n in the name stands for the node)"
        )
        self.path = path
        self.pid = pid


class PidFile:
    """Holds *path* with this process's id from :meth:`acquire` to :meth:`release` [B1132].

    A file that names a dead process, or holds no number, is left over from a crash and is replaced.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._held_by: int | None = None

    def read(self) -> int | None:
        """Return the id in the file; ``None`` when there is no file, or no number in it."""
        try:
            with open(self.path, "rb") as file:
                text = file.read(64).strip()
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() and len(text) < 19 else None

    def acquire(self) -> str | None:
        """Write this process's id; return a remark when a stale or broken file was replaced.

        Raises :class:`PidFileTaken` when a living process is named, ``OSError`` when the file cannot be written.
        """
        for _ in range(5):
            opened = self._open()
            if opened is None:
                continue
            handle, is_new = opened
            try:
                # Of two that start at once the second waits here, and finds the first one's number then.
                fcntl.flock(handle, fcntl.LOCK_EX)
                if self._is_at_path(handle):
                    return self._take(handle, is_new=is_new)
            finally:
                os.close(handle)
        raise UmbelError(f"pid file {self.path} is removed by another process again and again; give up")

    def _open(self) -> tuple[int, bool] | None:
        """Return the open file and whether it is new; ``None`` when another process has removed it in this instant."""
        try:
            return os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o644), True
        except FileExistsError:
            pass
        try:
            return os.open(self.path, os.O_RDWR | os.O_CLOEXEC), False
        except FileNotFoundError:
            return None
        except PermissionError:
            self._check(self.read())  # another user's, whose process may live
            raise

    def _is_at_path(self, handle: int) -> bool:
        """Say whether the file was not removed before it was locked."""
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(handle), os.stat(self.path))
        return False

    def _take(self, handle: int, *, is_new: bool) -> str | None:
        pid = self.read()
        self._check(pid)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._held_by = os.getpid()
        if (is_new and pid is None) or pid == os.getpid():
            return None
        if pid is None:
            return f"pid file {self.path} held no process id; replaced"
        return f"pid file {self.path} was left by process {pid}, which is gone; replaced"

    def _check(self, pid: int | None) -> None:
        if pid is not None and pid != os.getpid() and has_process(pid):
            raise PidFileTaken(self.path, pid)

    def release(self) -> None:
        """Remove the file, if it is still this process's. May be called twice; a forked child's call does nothing."""
        if self._held_by == os.getpid() and self.read() == self._held_by:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
        self._held_by = None

    def forget(self) -> None:
        """Remove the file, whoever has written it: its process is known to be gone."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def has_process(pid: int) -> bool:
    """Say whether there is a process *pid*, whoever's it is, be it one that has ended and nobody has asked for yet."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    except OverflowError:
        return False
    return True
