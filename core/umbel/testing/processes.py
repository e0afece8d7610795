"""Runs a part of a test in a process of its own, which can be killed.

The child is :mod:`umbel.testing.child`; the two talk in lines of JSON over its standard input and output.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Self

__all__ = ["ChildProcess"]


class ChildProcess:
    """A process that uses the store of *url*; *kind* is ``transport`` or ``backend``.

    :meth:`call` runs an operation of the child and returns its answer; :meth:`begin` and :meth:`answer` do so in two
    steps, to have several children work at once. The operations are in :mod:`umbel.testing.child`.
    """

    def __init__(self, kind: str, url: str) -> None:
        # What the store says on its error output is for people, so it goes where the test's own goes.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "umbel.testing.child", kind, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, operation: str, /, answer_within_s: float = 30.0, **arguments: Any) -> Any:
        """Run *operation* in the child and return its answer."""
        self.begin(operation, **arguments)
        return self.answer(answer_within_s)

    def begin(self, operation: str, /, **arguments: Any) -> None:
        """Start *operation* in the child; :meth:`answer` gets what it returns."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([operation, arguments]).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self, timeout_s: float = 30.0) -> Any:
        """Return what the operation begun before returned; raises ``AssertionError`` with the child's error."""
        line = self._read_line(time.monotonic() + timeout_s)
        document = json.loads(line)
        if "error" in document:
            raise AssertionError(f"the child process failed:\n{document['error']}")
        return document["answer"]

    def kill(self) -> None:
        """Kill the child with SIGKILL, as a crash or the system would, and wait until it is gone."""
        self._process.kill()
        self._process.wait(10)

    def close(self) -> None:
        """Let the child end in good order; kill it if it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.kill()
        finally:
            self._process.stdout.close()

    def _read_line(self, deadline: float) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise AssertionError("expected an answer of the child process in time, got none")
            chunk = os.read(descriptor, 1 << 20)
            if not chunk:
                raise AssertionError(f"the child process ended with code {self._process.wait(10)}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line
