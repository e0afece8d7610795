"""A worker in a process of its own: started, hurt, asked what it holds, and listened to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from umbel.testing.threads import until

__all__ = ["LOSS", "RECOVERY", "ROOT", "WorkerProcess"]

ROOT: Final = Path(__file__).resolve().parents[2]
#: How the log tells that the worker serves no more, and that it serves again.
LOSS: Final = ("lost the connection to", "cannot be committed, trying again")
RECOVERY: Final = ("takes messages again", "commits go through again")


class WorkerProcess:
    """``umbel worker`` over the fault runs' application. *environment* is added to this process's."""

    def __init__(self, folder: Path, environment: Mapping[str, str], name: str, *options: str) -> None:
        self.log_path = folder / f"{name}.log"
        self._folder = folder
        command = [sys.executable, "-m", "umbel", "-A", "tests.faults.faultapp", "worker", "-c", "2"]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "-l", "warning", "-n", f"{name}@%h", *options],
                cwd=ROOT,
                env={**os.environ, **environment, "FAULTS_WORKER": "1", "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def is_alive(self) -> bool:
        """Whether the parent process runs."""
        return self.process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it took messages at least once."""
        path = self._folder / "ready"
        return path.exists() and str(self.process.pid) in path.read_text().split()

    def log(self, since: int = 0) -> str:
        """Return what it has logged, from the byte *since* on."""
        with self.log_path.open("rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    @property
    def log_size(self) -> int:
        """How much it has logged."""
        return self.log_path.stat().st_size

    def memory(self) -> dict[str, int]:
        """Ask what the parent process holds."""
        path = self._folder / f"memory.{self.process.pid}"
        before = path.stat().st_size if path.exists() else 0
        self.process.send_signal(signal.SIGUSR2)
        until(lambda: path.exists() and path.stat().st_size > before, 20.0)
        held: dict[str, int] = json.loads(path.read_text().splitlines()[-1])
        return held

    def server_pid(self) -> int:
        """Return the pool's server at work: of the worker's process group the one that has children of its own."""
        return until(lambda: [pid for pid in self._group() if children_of(pid)], 20.0)[0]

    def _group(self) -> list[int]:
        parent = self.process.pid
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [pid for pid in pids if pid != parent and _group_of(pid) == parent]

    def kill(self) -> None:
        """Kill the parent process with SIGKILL; its children go with it."""
        self.process.kill()
        self.process.wait(20)

    def stop(self, timeout_s: float = 60.0) -> int:
        """Ask it to end, and return its exit code; kills it when it takes longer."""
        self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def said_after(self, since: int, words: tuple[str, ...]) -> bool:
        """Say whether one of *words* is in the log after the byte *since*."""
        log = self.log(since)
        return any(word in log for word in words)


def children_of(pid: int) -> list[int]:
    """Return the processes whose parent is *pid*."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        found = [Path(f"/proc/{pid}/task/{task}/children").read_text() for task in tasks]
    except OSError:
        return []
    return [int(child) for text in found for child in text.split()]


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
