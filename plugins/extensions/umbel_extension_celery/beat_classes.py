"""Celery's scheduler, which projects and packages subclass, and Umbel's beat driving it."""

from __future__ import annotations

import contextlib
import heapq
import logging
import shelve
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from umbel.beat import BeatLazyFunc, Service
from umbel.exceptions import UmbelError
from umbel.spi import ScheduleEntry as UmbelEntry
from umbel.spi import Scheduler as UmbelScheduler
from umbel_extension_celery.beat_entries import ScheduleEntry

__all__ = ["ForeignScheduler", "PersistentScheduler", "ScheduleEntry", "Scheduler", "SchedulingError", "Service"]

logger = logging.getLogger("celery.beat")


class SchedulingError(UmbelError):
    """An entry could not be sent."""


class Scheduler:
    """Keeps entries in memory and sends what is due when :meth:`tick` is called."""

    Entry: Any = ScheduleEntry
    max_interval = 300.0
    sync_every = 3 * 60
    sync_every_tasks: int | None = None
    logger = logger

    def __init__(
        self,
        app: Any,
        schedule: Any = None,
        max_interval: float | None = None,
        Producer: Any = None,  # noqa: N803 - Celery's name
        lazy: bool = False,
        sync_every_tasks: int | None = None,
        **_: Any,
    ) -> None:
        self.app = app
        self.data: Any = {} if schedule is None else schedule
        self.max_interval = max_interval or app.conf.beat_max_loop_interval or self.max_interval
        self.sync_every_tasks = app.conf.beat_sync_every if sync_every_tasks is None else sync_every_tasks
        self._heap: list[tuple[float, int, Any]] | None = None
        self._last_sync: float | None = None
        self._tasks_since_sync = 0
        self.old_schedulers: Any = None
        if not lazy:
            self.setup_schedule()

    @property
    def producer(self) -> None:
        """Nothing of its own: calls go over the application's connections."""

    # -- entries ------------------------------------------------------------------------------------------------------

    def setup_schedule(self) -> None:
        """Fill in the entries of ``beat_schedule``."""
        self.install_default_entries(self.data)
        self.merge_inplace(self.app.conf.beat_schedule)

    def install_default_entries(self, data: Any) -> None:
        """Add what Celery adds of itself: nothing, since Umbel's workers clean the result store up."""

    def get_schedule(self) -> Any:
        """Return the entries by name; for subclasses."""
        return self.data

    def set_schedule(self, schedule: Any) -> None:
        """Replace the entries."""
        self.data = schedule

    @property
    def schedule(self) -> Any:
        """The entries by name."""
        return self.get_schedule()

    @schedule.setter
    def schedule(self, value: Any) -> None:
        self.set_schedule(value)

    def _maybe_entry(self, name: str, entry: Any) -> Any:
        if isinstance(entry, self.Entry):
            entry.app = self.app
            return entry
        return self.Entry(**{**dict(entry), "name": name, "app": self.app})

    def add(self, **kwargs: Any) -> Any:
        """Add an entry and return it."""
        entry = self.Entry(app=self.app, **kwargs)
        self.schedule[entry.name] = entry
        return entry

    def update_from_dict(self, dict_: Mapping[str, Any]) -> None:
        """Add or replace entries."""
        self.schedule.update({name: self._maybe_entry(name, entry) for name, entry in dict_.items()})

    def merge_inplace(self, b: Mapping[str, Any]) -> None:
        """Make the entries those of *b*; an entry that stays keeps its times."""
        schedule = self.schedule
        for name in set(schedule) - set(b):
            schedule.pop(name, None)
        for name, fields in b.items():
            entry = self._maybe_entry(name, fields)
            if schedule.get(name):
                schedule[name].update(entry)
            else:
                schedule[name] = entry

    def schedules_equal(self, old_schedules: Any, new_schedules: Any) -> bool:
        """Say whether two sets of entries are the same."""
        return bool(old_schedules == new_schedules)

    @property
    def info(self) -> str:
        """What the banner says."""
        return ""

    # -- sending ------------------------------------------------------------------------------------------------------

    def is_due(self, entry: Any) -> Any:
        """Return (whether *entry* is due, in how many seconds to look again)."""
        return entry.is_due()

    def adjust(self, n: float | None, drift: float = -0.010) -> float | None:
        """Return a time to sleep that is a little shorter."""
        return n + drift if n and n > 0 else n

    def populate_heap(self) -> None:
        """Order the entries by their next look."""
        now = time.time()
        self._heap = [(now + (self.is_due(entry)[1] or 0), id(entry), entry) for entry in self.schedule.values()]
        for index, (_, key, entry) in enumerate(self._heap):
            if self.is_due(entry)[0]:
                self._heap[index] = (now, key, entry)
        heapq.heapify(self._heap)
        self.old_schedulers = dict(self.schedule)

    def tick(self) -> float:
        """Send the next entry where it is due; return how many seconds to sleep."""
        if self._heap is None or not self.schedules_equal(self.old_schedulers, dict(self.schedule)):
            self.populate_heap()
        heap = self._heap
        if not heap:
            return self.max_interval
        _, _, entry = heap[0]
        is_due, next_s = self.is_due(entry)
        if not is_due:
            heapq.heapreplace(heap, (time.time() + (next_s or self.max_interval), id(entry), entry))
            left_s = heap[0][0] - time.time()
            return max(0.0, min(self.adjust(left_s) or 0.0, self.max_interval))
        heapq.heappop(heap)
        following = self.reserve(entry)
        self.apply_entry(entry)
        if self.old_schedulers is not None and entry.name in self.old_schedulers:
            self.old_schedulers[entry.name] = following
        heapq.heappush(heap, (time.time() + (next_s or 0), id(following), following))
        return 0.0

    def reserve(self, entry: Any) -> Any:
        """Put the entry's next run in its place, and return that."""
        following = self.schedule[entry.name] = next(entry)
        return following

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send *entry*; an error is logged."""
        logger.info("Scheduler: Sending due task %s (%s)", entry.name, entry.task)
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except Exception:
            logger.exception("Message Error: entry %s could not be sent", entry.name)

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send *entry* and return its result. Raises :class:`SchedulingError`."""
        entry = self.reserve(entry) if advance else entry
        arguments = [value() if isinstance(value, BeatLazyFunc) else value for value in entry.args or ()]
        keywords = {
            name: value() if isinstance(value, BeatLazyFunc) else value for name, value in (entry.kwargs or {}).items()
        }
        task = self.app.tasks.get(entry.task)
        try:
            if task is not None:
                return task.apply_async(arguments, keywords, **dict(entry.options or {}))
            return self.send_task(entry.task, arguments, keywords, **dict(entry.options or {}))
        except Exception as error:
            raise SchedulingError(f"could not send the entry {entry.name}: {error}") from error
        finally:
            self._tasks_since_sync += 1
            if self.should_sync():
                self._do_sync()

    def send_task(self, *args: Any, **kwargs: Any) -> Any:
        """Send a call of a task by its name."""
        return self.app.send_task(*args, **kwargs)

    # -- keeping ------------------------------------------------------------------------------------------------------

    def should_sync(self) -> bool:
        """Say whether it is time to make the entries durable."""
        return (
            not self._last_sync
            or (time.monotonic() - self._last_sync) > self.sync_every
            or bool(self.sync_every_tasks and self._tasks_since_sync >= self.sync_every_tasks)
        )

    def _do_sync(self) -> None:
        try:
            self.sync()
        finally:
            self._last_sync = time.monotonic()
            self._tasks_since_sync = 0

    def sync(self) -> None:
        """Make the entries durable; for subclasses."""

    def close(self) -> None:
        """Make the entries durable and let go."""
        self.sync()


class PersistentScheduler(Scheduler):
    """Keeps the entries in a file of the module ``shelve``, as Celery does (``beat_schedule_filename``)."""

    persistence = shelve
    known_suffixes: ClassVar[Sequence[str]] = ("", ".db", ".dat", ".bak", ".dir")
    _store: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.schedule_filename = kwargs.get("schedule_filename") or "celerybeat-schedule"
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Open the file and merge the entries of ``beat_schedule`` into it; an unreadable file is begun anew."""
        try:
            self._store = self.persistence.open(self.schedule_filename, writeback=True)
            dict(self._store.get("entries") or {})
        except Exception as error:
            logger.warning("the schedule file %s cannot be read and is begun anew: %r", self.schedule_filename, error)
            with contextlib.suppress(Exception):
                self._store.close()
            self._store = self.persistence.open(self.schedule_filename, flag="n", writeback=True)
        self._store.setdefault("entries", {})
        self.install_default_entries(self.schedule)
        self.merge_inplace(self.app.conf.beat_schedule)
        self.sync()

    def get_schedule(self) -> Any:
        """Return the entries by name."""
        return self._store["entries"]

    def set_schedule(self, schedule: Any) -> None:
        """Replace the entries."""
        self._store["entries"] = schedule

    def sync(self) -> None:
        """Write the file."""
        if self._store is not None:
            self._store.sync()

    def close(self) -> None:
        """Write and close the file."""
        store, self._store = self._store, None
        if store is not None:
            store.close()

    @property
    def info(self) -> str:
        """What the banner says."""
        return f"    . db -> {self.schedule_filename}"


class ForeignScheduler(UmbelScheduler):
    """Lets Umbel's beat drive a scheduler of Celery's shape, which sends by itself when it is asked what is due.

    Other attributes are that scheduler's: who is told of ``beat_init`` reads and sets them at ``sender.scheduler``.
    """

    _scheduler: Any
    _is_closed: bool

    def __init__(self, scheduler: Any) -> None:
        object.__setattr__(self, "_scheduler", scheduler)
        object.__setattr__(self, "_is_closed", False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_scheduler"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            object.__setattr__(self, name, value)
        else:
            setattr(self._scheduler, name, value)

    def entries(self) -> Sequence[UmbelEntry]:
        return [
            UmbelEntry(name=str(entry.name), task=str(entry.task), schedule=entry.schedule)
            for entry in self._scheduler.schedule.values()
        ]

    def due(self, now: float) -> tuple[Sequence[UmbelEntry], float]:
        return [], max(0.0, float(self._scheduler.tick()))

    def sent(self, entry: UmbelEntry, at: float) -> None:
        """Nothing: the scheduler has noted what it sent."""

    def sync(self) -> None:
        self._scheduler.sync()

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._scheduler.close()
