"""A worker that goes on without a terminal: how it is started, found again by its pid file, and told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from umbel.worker.naming import expand
from umbel.worker.pidfile import PidFile, has_process

__all__ = ["Node", "is_alive"]

#: Importing an application may take its time.
_START_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.05


@attrs.frozen
class Node:
    """The node *name*; *words* is its whole command line. Files are named as the worker names them (``%n``...)."""

    name: str
    words: Sequence[str]
    pidfile: str
    logfile: str
    workdir: str | None = None

    @property
    def pid_path(self) -> Path:
        """The file with its process id."""
        return Path(self.workdir or os.curdir, expand(self.pidfile, self.name)).absolute()

    @property
    def log_path(self) -> Path:
        """The file of its log, and of what it writes before it has one."""
        return Path(self.workdir or os.curdir, expand(self.logfile, self.name)).absolute()

    def pid(self) -> int | None:
        """Return the id of the living process; ``None`` where there is none, or the file was left by a dead one.

        A number that was given to another program since is no node: it must not get a signal.
        """
        pid = PidFile(str(self.pid_path)).read()
        if pid is None or not is_alive(pid):
            return None
        return pid if self._is_ours(pid) else None

    def _is_ours(self, pid: int) -> bool:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            return not Path("/proc/self/cmdline").exists()  # it has just ended; or the system tells nothing
        except OSError:
            return True
        return b"worker" in words or os.fsencode(self.name) in words

    def start(self) -> str | None:
        """Start it and wait until it has its pid file; return what went wrong, or ``None``. It must not be running."""
        self.forget_dead()
        try:
            self.log_path.parent.mkdir(parents=True, exist_ok=True)
            log = self.log_path.open("ab")
        except OSError as error:
            return f"cannot write the log file {self.log_path}: {error.strerror}"
        with log:
            process = subprocess.Popen(
                self.words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.workdir,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_WITHIN_S
        while PidFile(str(self.pid_path)).read() != process.pid:
            code = process.poll()
            if code is not None:
                return f"it ended with code {code}; {self._last_line()}"
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                return f"it has written no pid file {self.pid_path} within {_START_WITHIN_S:.0f} s, and was killed"
            time.sleep(_LOOK_EVERY_S)
        process.returncode = 0  # it goes on without this program, which must not warn of it
        return None

    def _last_line(self) -> str:
        try:
            lines = self.log_path.read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return f"its log {self.log_path} says: {lines[-1] if lines else 'nothing'}"

    def send(self, number: int) -> int | None:
        """Send the signal *number* to the process; return its id, or ``None`` where there is none."""
        pid = self.pid()
        if pid is None:
            return None
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return None
        if number == signal.SIGKILL:
            PidFile(str(self.pid_path)).forget()
        return pid

    def forget_dead(self) -> None:
        """Remove the pid file of a process that is gone."""
        if self.pid() is None:
            PidFile(str(self.pid_path)).forget()


def is_alive(pid: int) -> bool:
    """Say whether the process *pid* runs, whoever's it is."""
    return has_process(pid) and not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Say whether only its parent's asking for its exit code is left of a process: in containers nobody may ask."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
