"""Named points of a task's way at which a process kills itself.

The points are put around the worker's own methods by the application module under test, so that the product has no word
of them. A kill costs a token from a folder; when there are none left, nothing dies any more and the work can end.
"""

from __future__ import annotations

import functools
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Name of the point -> (class by module and name, method, before or after it), in the order of a task's way.
PARENT_POINTS: dict[str, tuple[str, str, str, bool]] = {
    "parent: claimed, not yet looked at": ("umbel.worker.admission", "Admission", "admit", True),
    "parent: admitted, not yet in the pool": ("umbel.worker.admission", "Admission", "admit", False),
    "parent: outcome in, not yet on the belt": ("umbel.worker.reports", "Reports", "finished", True),
    "parent: before the commit": ("umbel.worker.line", "CommitLine", "commit", True),
    "parent: after the commit": ("umbel.worker.line", "CommitLine", "commit", False),
    "parent: inside the commit": ("", "", "", True),  # see inside_the_commit()
}
CHILD_POINTS: dict[str, tuple[str, str, str, bool]] = {
    "child: job received": ("umbel.worker.executor", "TaskExecutor", "execute", True),
    "child: outcome not yet sent": ("umbel.worker.executor", "TaskExecutor", "execute", False),
    "child: request made": ("umbel.worker.trace", "Tracer", "run", True),
    "child: inside the task": ("", "", "", True),  # the task itself calls strike()
}
POINTS = {**PARENT_POINTS, **CHILD_POINTS}


class Reaper:
    """Kills this process now and then. *tokens* is the folder that says how often that may still happen."""

    def __init__(self, tokens: Path, seed: int) -> None:
        self._tokens = tokens
        self._seed = seed
        self._pid = 0
        self._random = random.Random(seed)

    def strike(self, point: str) -> None:
        """Die here, perhaps."""
        if os.getpid() != self._pid:  # each process has its own luck, and the same one with the same seed
            self._pid = os.getpid()
            self._random = random.Random(f"{self._seed} {len(list(self._tokens.glob('*.used')))} {point[:6]}")
        chances = self._chances()
        if self._random.random() < chances.get(point, 0.0) and self._take(point):
            os.kill(os.getpid(), signal.SIGKILL)

    def _chances(self) -> dict[str, float]:
        if not hasattr(self, "_read"):
            pairs = [line.rpartition("=") for line in (self._tokens / "chances").read_text().splitlines()]
            self._read = {point: float(chance) for point, _, chance in pairs}
        return self._read

    def _take(self, point: str) -> bool:
        for token in sorted(self._tokens.glob("*.token")):
            try:
                token.rename(token.with_suffix(".used"))
            except FileNotFoundError:
                continue
            with (self._tokens / "kills").open("a") as log:
                log.write(f"{point}\n")
            return True
        return False


def install(reaper: Reaper) -> None:
    """Put every point into this process's worker."""
    for point, (module, cls, method, before) in POINTS.items():
        if module:
            owner = getattr(__import__(module, fromlist=[cls]), cls)
            setattr(owner, method, _around(getattr(owner, method), reaper, point, before=before))


def _around(method: Callable[..., Any], reaper: Reaper, point: str, *, before: bool) -> Callable[..., Any]:
    @functools.wraps(method)
    def around(*args: Any, **kwargs: Any) -> Any:
        if before:
            reaper.strike(point)
            return method(*args, **kwargs)
        answer = method(*args, **kwargs)
        reaper.strike(point)
        return answer

    return around


def inside_the_commit(reaper: Reaper, *owners: tuple[type[Any], str]) -> None:
    """Put the point between the steps of a commit: after *owners*' methods, which are its steps."""
    for owner, method in owners:
        setattr(owner, method, _around(getattr(owner, method), reaper, "parent: inside the commit", before=False))
