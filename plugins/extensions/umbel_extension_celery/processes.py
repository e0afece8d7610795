"""Processes, users and signals: what programs import from ``celery.platforms``."""

from __future__ import annotations

import errno
import os
import platform
import resource
import signal as _signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from umbel.exceptions import UmbelError
from umbel.worker.pidfile import PidFile as Pidfile
from umbel.worker.privileges import drop_privileges, find_identity

__all__ = [
    "EX_FAILURE",
    "EX_OK",
    "EX_UNAVAILABLE",
    "EX_USAGE",
    "IS_WINDOWS",
    "SIGMAP",
    "SYSTEM",
    "IS_macOS",
    "LockFailed",
    "Pidfile",
    "get_fdmax",
    "ignore_errno",
    "isatty",
    "maybe_drop_privileges",
    "pyimplementation",
    "signal_name",
    "signals",
]

EX_OK: Final = 0
EX_FAILURE: Final = 1
EX_UNAVAILABLE: Final = getattr(os, "EX_UNAVAILABLE", 69)
EX_USAGE: Final = getattr(os, "EX_USAGE", 64)
SYSTEM: Final = platform.system()
IS_macOS: Final = SYSTEM == "Darwin"
IS_WINDOWS: Final = SYSTEM == "Windows"
SIGMAP: Final = {int(number): f"SIG{number.name.removeprefix('SIG')}" for number in _signal.Signals}
LockFailed = UmbelError


def pyimplementation() -> str:
    """Return the name of the interpreter."""
    return platform.python_implementation()


def get_fdmax(default: int | None = None) -> int | None:
    """Return how many files this process may open."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return default if most == resource.RLIM_INFINITY else most


def isatty(fh: Any) -> bool:
    """Say whether *fh* is a terminal."""
    try:
        return bool(fh.isatty())
    except AttributeError:
        return False


def signal_name(signum: int) -> str:
    """Return a signal's name without ``SIG``."""
    return SIGMAP[signum][3:]


@contextmanager
def ignore_errno(*errnos: int | str, types: tuple[type[BaseException], ...] = (OSError,)) -> Iterator[None]:
    """Pass over errors of the system with these numbers or names."""
    wanted = {getattr(errno, name) if isinstance(name, str) else name for name in errnos}
    try:
        yield
    except types as error:
        if getattr(error, "errno", None) not in wanted:
            raise


def maybe_drop_privileges(uid: Any = None, gid: Any = None) -> None:
    """Become another user, where one is given."""
    drop_privileges(find_identity(uid, gid))


class Signals:
    """The process's signal handlers, by the signals' names: ``signals["INT"] = handler``."""

    ignored = _signal.SIG_IGN
    default = _signal.SIG_DFL

    def signum(self, name: Any) -> int:
        """Return a signal's number."""
        if isinstance(name, int):
            return name
        if not isinstance(name, str) or not name.isupper():
            raise TypeError(f"expected a signal's name in capitals, such as 'TERM', got {name!r}")
        return int(getattr(_signal, name if name.startswith("SIG") else f"SIG{name}"))

    def supported(self, name: str) -> bool:
        """Say whether this system has the signal."""
        return hasattr(_signal, name if name.startswith("SIG") else f"SIG{name}")

    def __getitem__(self, name: Any) -> Any:
        return _signal.getsignal(self.signum(name))

    def __setitem__(self, name: Any, handler: Any) -> None:
        try:
            _signal.signal(self.signum(name), handler)
        except (AttributeError, ValueError):  # no such signal here, or not the main thread
            return

    def reset(self, *names: Any) -> None:
        """Give signals their default handlers."""
        for name in names:
            self[name] = self.default

    def ignore(self, *names: Any) -> None:
        """Ignore signals."""
        for name in names:
            self[name] = self.ignored


signals = Signals()

if sys.platform == "win32":  # pragma: no cover
    raise ImportError("Umbel needs a POSIX system")
