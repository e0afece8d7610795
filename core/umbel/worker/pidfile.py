"""A file that says which process is the worker, and keeps a second one away."""

from __future__ import annotations

import contextlib
import errno
import os

from umbel.exceptions import UmbelError

__all__ = ["PidFile", "PidFileTaken"]


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
        remark = None
        for _ in range(5):
            try:
                handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            except FileExistsError:
                remark = self._remove_left_over()
                continue
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
            self._held_by = os.getpid()
            return remark
        raise UmbelError(f"pid file {self.path} is written by another process again and again; give up")

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

    def _remove_left_over(self) -> str | None:
        pid = self.read()
        if pid is not None and pid != os.getpid() and _is_alive(pid):
            raise PidFileTaken(self.path, pid)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        if pid is None:
            return f"pid file {self.path} held no process id; replaced"
        return f"pid file {self.path} was left by process {pid}, which is gone; replaced"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    except OverflowError:
        return False
    return True
