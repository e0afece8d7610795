"""A scheduler whose last run times outlive the program: in a small file of JSON.

Entries are those of the setting ``beat_schedule``; the file (``beat_schedule_filename``) holds when each of them ran last,
and how often. It is replaced as a whole, so that a crash leaves the old one or the new one. A lock beside it keeps a
second beat away.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from umbel.exceptions import ImproperlyConfigured
from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.schedules.entries import look_at, make_entries
from umbel.spi import ScheduleEntry, Scheduler

__all__ = ["PersistentScheduler", "plugin_info", "umbel_scheduler"]

logger = logging.getLogger("umbel.beat")

plugin_info = PluginInfo(kind="scheduler", names=("persistent",), summary="last run times in a file of JSON")

#: The longest sleep, so that a changed clock is noticed.
_LONGEST_SLEEP_S: Final = 300.0


class PersistentScheduler(Scheduler):
    """Keeps *entries*, made and checked, and their last run times in the file *path*.

    Raises :class:`~umbel.exceptions.ImproperlyConfigured` when another beat has the file, or it cannot be written.
    """

    def __init__(self, entries: Mapping[str, ScheduleEntry], path: str) -> None:
        self._entries = dict(entries)
        self._path = path
        self._lock = _locked(f"{path}.lock")
        self._is_changed = True
        try:
            self._load()
            self.sync()
        except BaseException:
            self._unlock()
            raise

    def _load(self) -> None:
        try:
            with open(self._path, encoding="utf-8") as file:
                kept: Mapping[str, Any] = json.load(file)["entries"]
            times = {name: dt.datetime.fromisoformat(row["last_run_at"]) for name, row in kept.items()}
            counts = {name: int(row["total_run_count"]) for name, row in kept.items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            aside = f"{self._path}.damaged"
            with contextlib.suppress(OSError):
                os.replace(self._path, aside)
            logger.warning(
                "%s cannot be read (%r): it was moved to %s, and every entry waits for its next time",
                self._path,
                error,
                aside,
            )
            return
        now = dt.datetime.now(dt.UTC)
        for name, entry in self._entries.items():
            if name in times:
                entry.last_run_at = min(times[name], now)  # a clock that was wrong must not stop an entry for years
                entry.total_run_count = counts[name]

    def entries(self) -> Sequence[ScheduleEntry]:
        return list(self._entries.values())

    def due(self, now: float) -> tuple[Sequence[ScheduleEntry], float]:
        due: list[ScheduleEntry] = []
        sleep_s = _LONGEST_SLEEP_S
        for entry in self._entries.values():
            is_due, next_s = look_at(entry, now)
            if is_due:
                due.append(entry)
            sleep_s = min(sleep_s, next_s)
        return due, max(0.001, sleep_s)

    def sent(self, entry: ScheduleEntry, at: float) -> None:
        entry.last_run_at = dt.datetime.fromtimestamp(at, dt.UTC)
        entry.total_run_count += 1
        self._is_changed = True

    def sync(self) -> None:
        """Write the times, where there are new ones. A failure is logged: beat goes on with what it knows."""
        if not self._is_changed:
            return
        document = {
            "entries": {
                name: {"last_run_at": entry.last_run_at.isoformat(), "total_run_count": entry.total_run_count}
                for name, entry in self._entries.items()
            }
        }
        draft = f"{self._path}.new"
        try:
            with open(draft, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self._path)
            self._is_changed = False
        except OSError as error:
            logger.warning("the schedule's times could not be written to %s: %s", self._path, error)

    def close(self) -> None:
        if self._lock is not None:
            self.sync()
            self._unlock()

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _locked(path: str) -> int | None:
    """Return a descriptor that holds the lock *path* until it is closed."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ImproperlyConfigured(
            f"expected a place for the schedule's times that can be written, got {error}; choose one with --schedule or "
            f"beat_schedule_filename"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ImproperlyConfigured(
            f"another beat uses the schedule file {path.removesuffix('.lock')}: exactly one may run for a schedule, or "
            f"every call is sent twice; stop the other one, or give this one its own --schedule"
        ) from error
    return descriptor


@hookimpl
def umbel_scheduler(app: Any, options: Mapping[str, Any]) -> Scheduler:
    """Make the scheduler of ``beat_schedule``; *options* may hold that, and ``schedule_filename``."""
    entries = options.get("beat_schedule")
    if entries is None:
        entries = {} if app is None else app.conf.beat_schedule
    path = options.get("schedule_filename") or (app.conf.beat_schedule_filename if app is not None else "umbelbeat")
    made = make_entries(entries, app, dt.datetime.fromtimestamp(time.time(), dt.UTC))
    return PersistentScheduler(made, os.path.abspath(path))
