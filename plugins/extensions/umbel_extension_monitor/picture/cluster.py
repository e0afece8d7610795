"""What is known of the cluster: the state that follows from its events, with rates beside it."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final, TypeVar
from zlib import crc32

import attrs

from umbel.events import State, Task, Worker
from umbel_extension_monitor.picture.filtering import Filter
from umbel_extension_monitor.picture.meters import Meter, step

__all__ = ["Cluster", "Departed", "NameFigures"]

_MINUTES_5: Final = 300
_MINUTE: Final = 60
_MOST_NAMES: Final = 500
_MOST_DEPARTED: Final = 50

K = TypeVar("K")
V = TypeVar("V")


@attrs.frozen
class Departed:
    """A worker that has said goodbye, and when."""

    worker: Worker
    at: float


@attrs.frozen(eq=False)
class NameFigures:
    """What is known of the tasks of one name."""

    name: str
    meter: Meter


class Cluster:
    """Takes events in, of one thread, by :meth:`take`; any thread may look.

    It remembers *keep* tasks. Where events come faster than they can be worked into the state, all are counted, and the
    tasks of one in :attr:`one_in` are shown, with every one that failed.
    """

    def __init__(self, keep: int = 10_000, now: Callable[[], float] = time.time) -> None:
        self._lock = threading.Lock()
        self._now = now
        self._keep = keep
        self.state = State(max_tasks_in_memory=keep, on_node_join=self._on_join, on_node_leave=self._on_leave)
        #: All events, tasks and run times of the last five minutes.
        self.meter = Meter(_MINUTES_5)
        self.one_in = 1
        #: By how many seconds the latest event came late.
        self.lag_s = 0.0
        #: Grows with every event.
        self.version = 0
        self._names: OrderedDict[str, NameFigures] = OrderedDict()
        self._nodes: OrderedDict[str, Meter] = OrderedDict()
        self._departed: OrderedDict[str, Departed] = OrderedDict()
        self._received: OrderedDict[str, dict[str, Any]] = OrderedDict()

    # -- events, of one thread ----------------------------------------------------------------------------------------

    def take(self, event: dict[str, Any]) -> None:
        """Take in one event."""
        with self._lock:
            self.version += 1
            now = self._now()
            self.meter.add(now, "events")
            group, _, subject = event["type"].partition("-")
            if isinstance(stamp := event.get("timestamp"), int | float):
                self.lag_s = max(0.0, now - stamp)
            if group != "task" or not event.get("uuid"):
                self.state.event(event)
                return
            received = self._received_event(subject, event)
            self._count(now, subject, event, received)
            if self._is_shown(subject, event["uuid"]):
                if self.one_in > 1 and received is not None and subject != "received":
                    self.state.event(received)  # a task that failed may not have been among those that are shown
                self.state.event(event)

    def _received_event(self, subject: str, event: dict[str, Any]) -> dict[str, Any] | None:
        """Return the event that told the name of the task, or ``None``."""
        uuid = event["uuid"]
        if subject in ("sent", "received"):
            self._received[uuid] = event
            if len(self._received) > self._keep:
                self._received.popitem(last=False)
            return event
        return self._received.get(uuid)

    def _is_shown(self, subject: str, uuid: str) -> bool:
        return self.one_in == 1 or subject == "failed" or crc32(str(uuid).encode()) % self.one_in == 0

    def _count(self, now: float, subject: str, event: dict[str, Any], received: dict[str, Any] | None) -> None:
        span = event.get("runtime")
        run_time = step(span) if isinstance(span, int | float) else None
        self.meter.add(now, subject, run_time)
        if received is not None and isinstance(name := received.get("name"), str):
            self._figures(name).meter.add(now, subject, run_time)
        if isinstance(node := event.get("hostname"), str) and subject != "sent":
            _found(self._nodes, node, _MOST_NAMES, lambda: Meter(_MINUTE)).add(now, subject, run_time)
        if subject == "started" and received is not None:
            started, came = event.get("timestamp"), received.get("timestamp")
            if isinstance(started, int | float) and isinstance(came, int | float):
                self.meter.add_wait(now, step(max(0.0, started - came)))

    def _figures(self, name: str) -> NameFigures:
        return _found(self._names, name, _MOST_NAMES, lambda: NameFigures(name, Meter(_MINUTE)))

    def _on_join(self, worker: Worker) -> None:
        self._departed.pop(str(worker.hostname), None)

    def _on_leave(self, worker: Worker) -> None:
        _remember(self._departed, str(worker.hostname), Departed(worker, self._now()), _MOST_DEPARTED)

    # -- looking ------------------------------------------------------------------------------------------------------

    def tasks(self, fits: Filter | None, by: str, limit: int) -> tuple[list[Task], int]:
        """Return up to *limit* tasks that fit, and how many fit in all (of those that were looked at).

        *by*: ``latest``, whose last event is the latest first; ``slowest``, who ran longest; ``oldest``.
        """
        found: Iterable[Task] = (task for _, task in self.state.tasks_by_time(reverse=by != "oldest"))
        if by == "slowest":
            found = sorted(found, key=lambda task: self.run_time(task) or 0.0, reverse=True)
        if fits is None:
            return list(islice(found, limit)), len(self.state.tasks)
        fitting = [task for task in found if fits(task)]
        return fitting[:limit], len(fitting)

    def run_time(self, task: Task) -> float | None:
        """Return how long it ran, or has been running."""
        ran: object = task.runtime  # an event may say anything
        if isinstance(ran, int | float) and math.isfinite(ran):
            return float(ran)
        if task.state == "STARTED" and task.started:
            return max(0.0, self._now() - task.started)
        if task.ready and task.started and task.timestamp:
            return max(0.0, task.timestamp - task.started)
        return None

    def states(self) -> Counter[str]:
        """Return how many of the remembered tasks are in each state."""
        return Counter(task.state for task in self.state.tasks.values())

    def workers(self) -> Sequence[Worker | Departed]:
        """Return those that are there, by name, then those that have left, the last one first."""
        with self._lock:
            here = sorted(self.state.workers.values(), key=lambda worker: str(worker.hostname))
            names = {worker.hostname for worker in here}
            left = [gone for gone in reversed(self._departed.values()) if gone.worker.hostname not in names]
        return [*here, *left]

    def node_meter(self, hostname: str) -> Meter:
        """Return what is counted of one worker."""
        with self._lock:
            return self._nodes.get(hostname) or Meter(_MINUTE)

    def names(self) -> Sequence[NameFigures]:
        """Return what is known of each name, the busiest first."""
        now = self._now()
        with self._lock:
            return sorted(
                self._names.values(), key=lambda one: (-one.meter.rate(now, "received", 30), one.name.lower())
            )

    def looking(self, look: Callable[[], V]) -> V:
        """Return what *look* returns, while no event is taken in."""
        with self._lock:
            return look()


def _remember(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)


def _found(kept: OrderedDict[K, V], key: K, most: int, make: Callable[[], V]) -> V:
    found = kept.get(key)
    if found is None:
        found = make()
        _remember(kept, key, found, most)
    else:
        kept.move_to_end(key)
    return found
