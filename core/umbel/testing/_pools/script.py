"""What the suite's jobs do: a tiny language of calls, run by a real executor.

Jobs wait for named pipes (FIFOs), never for time, so that the tests know what runs when.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import faulthandler
import json
import os
import pickle
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from umbel.exceptions import SoftTimeLimitExceeded

__all__ = ["Crash", "ScriptedExecutor", "call"]


class Crash(BaseException):
    """Gets through the executor, as a fault in the executor itself would."""


def call(operation: str, *arguments: Any) -> bytes:
    """Return the payload of a job that does *operation*, a function of this module without its underscore."""
    return pickle.dumps((operation, arguments))


class ScriptedExecutor:
    """Runs :func:`call` payloads. With *journal*, a file, it notes there when a process is entered and left."""

    def __init__(self, journal: str | None = None, fail: str | None = None) -> None:
        self._journal = journal
        self._fail = fail
        self._ballast: list[bytearray] = []
        self._arrived = 0
        self._all_arrived: asyncio.Event | None = None

    def enter_process(self) -> None:
        if self._fail:
            raise ValueError(self._fail)
        self._note("enter")

    def leave_process(self) -> None:
        self._note("leave")

    def _note(self, what: str) -> None:
        if self._journal:
            append(self._journal, f"{what} {os.getpid()}\n".encode())

    def is_coroutine(self, payload: bytes) -> bool:
        return str(pickle.loads(payload)[0]).startswith("async_")

    def execute(self, payload: bytes) -> bytes:
        operation, arguments = pickle.loads(payload)
        if operation.startswith("async_"):
            return asyncio.run(self.execute_async(payload))
        if operation == "grow":
            self._ballast.append(bytearray(os.urandom(1024)) * (1024 * int(arguments[0])))
            return b"grown"
        return _OPERATIONS[operation](*arguments)

    async def execute_async(self, payload: bytes) -> bytes:
        operation, arguments = pickle.loads(payload)
        if operation == "async_echo":
            await asyncio.sleep(0)
            return bytes(arguments[0])
        if operation == "async_sleep":
            await asyncio.sleep(arguments[0])
            return b"slept"
        if operation == "async_meet":  # ends when so many are here at once
            self._all_arrived = self._all_arrived or asyncio.Event()
            self._arrived += 1
            if self._arrived >= arguments[0]:
                self._all_arrived.set()
            await self._all_arrived.wait()
            return b"met"
        raise ValueError(f"expected an operation of the script, got {operation!r}")


def append(path: str, data: bytes) -> None:
    """Append *data* in one write, so that lines of several processes never mix."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _echo(data: bytes) -> bytes:
    return data


def _tick(path: str, line: str) -> bytes:
    append(path, line.encode() + b"\n")
    return b"ticked"


def _pid() -> bytes:
    return str(os.getpid()).encode()


def _wait(mark: str, gate: str) -> bytes:
    try:
        with open(gate, "rb", buffering=0) as opened:  # the test holds the other end
            append_to_pipe(mark)
            opened.read(1)
    except SoftTimeLimitExceeded:
        return b"soft"
    return b"waited"


def _stubborn(mark: str, gate: str) -> bytes:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return _wait(mark, gate)


def append_to_pipe(path: str) -> None:
    """Say "here" to whoever reads *path*."""
    with open(path, "wb", buffering=0) as opened:
        opened.write(b"m")


def _sleep(seconds: float) -> bytes:
    try:
        time.sleep(seconds)
    except SoftTimeLimitExceeded:
        return b"soft"
    return b"slept"


def _exit(code: int) -> bytes:
    os._exit(code)


def _kill(number: int) -> bytes:
    os.kill(os.getpid(), number)
    signal.pause()
    return b"alive"


def _segfault() -> bytes:
    faulthandler.disable()  # pytest has enabled it; the crash is meant
    return ctypes.string_at(8)


def _crash(text: str) -> bytes:
    raise Crash(text)


def _surroundings() -> bytes:
    handlers = {name: repr(signal.getsignal(getattr(signal, name))) for name in ("SIGINT", "SIGTERM", "SIGHUP")}
    with contextlib.suppress(OSError):
        return json.dumps({**handlers, "stdin": os.read(0, 1).decode(), "random": random.random()}).encode()
    return b"{}"


def _close_all() -> bytes:
    os.closerange(3, 1024)
    return b"closed"


def _daemonize(mark: str, gate: str) -> bytes:
    if os.fork() == 0:
        with contextlib.suppress(BaseException):
            _wait(mark, gate)
        os._exit(0)
    return b"forked"


def _fork_and_return() -> bytes:
    return str(os.fork()).encode()


def _noise() -> bytes:
    sys.stdout.flush()
    os.write(1, bytes(range(256)))
    return b"noisy"


_OPERATIONS: dict[str, Callable[..., bytes]] = {
    function.__name__[1:]: function
    for function in (
        _echo, _tick, _pid, _wait, _stubborn, _sleep, _exit, _kill, _segfault, _crash, _surroundings, _close_all,
        _daemonize, _fork_and_return, _noise,
    )
}  # fmt: skip
