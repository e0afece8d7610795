"""The file of ``--statedb``: what is revoked, kept over a restart where the broker cannot keep it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from umbel.exceptions import ImproperlyConfigured

__all__ = ["StateFile"]

logger = logging.getLogger("umbel.worker.control")

_MARK: Final = "umbel-worker-state"


class StateFile:
    """Reads and writes *path*; *content* gives what is to be kept, *later* calls a function after some seconds.

    It is written as a whole, beside the old one, and put in its place: a crash leaves one or the other. Thread-safe.
    """

    def __init__(
        self, path: str, content: Callable[[], Mapping[str, Any]], later: Callable[[float, Callable[[], None]], Any]
    ) -> None:
        self.path = os.path.abspath(os.path.expanduser(path))
        self._content = content
        self._later = later
        self._lock = threading.Lock()
        self._is_due = False
        self._is_ours = False

    def load(self) -> dict[str, Any]:
        """Return what was kept; nothing for a file that is not there.

        Raises :class:`~umbel.exceptions.ImproperlyConfigured` for one that is something else, which is not overwritten.
        """
        try:
            with open(self.path, "rb") as file:
                found = json.load(file)
        except FileNotFoundError:
            self._is_ours = True
            return {}
        except (OSError, ValueError) as error:
            found = error
        if not isinstance(found, dict) or found.get("kind") != _MARK:
            raise ImproperlyConfigured(
                f"expected {self.path} (--statedb) to be a state file of an Umbel worker, got something else"
                f"{f' ({found})' if isinstance(found, Exception) else ''}; name another file, or remove it (Celery's is "
                "not readable for Umbel)"
            )
        self._is_ours = True
        return found

    def changed(self) -> None:
        """Have the file written; changes that come until it is are written with it. Never blocks."""
        with self._lock:
            if self._is_due:
                return
            self._is_due = True
        self._later(0.0, self._write_due)

    def _write_due(self) -> None:
        with self._lock:
            self._is_due = False
        self.save()

    def save(self) -> None:
        """Write the file, once it was loaded. What goes wrong is logged: a full disk must not end a worker."""
        if not self._is_ours:
            return
        beside = f"{self.path}.{os.getpid()}"
        with self._lock:
            try:
                with open(os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                    json.dump({"kind": _MARK, **self._content()}, file)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(beside, self.path)
            except OSError as error:
                logger.error("the state file %s cannot be written: %s", self.path, error)  # noqa: TRY400 no place of ours
                with contextlib.suppress(OSError):
                    os.unlink(beside)
