"""Tasks in the order of time, and by name and by worker."""

from __future__ import annotations

import bisect
import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Final

from umbel.events.lru import LimitedDict
from umbel.events.tasks import Task

__all__ = ["Families", "TaskIndex", "TaskOrder"]

#: A place in the order of events: (logical time, timestamp, origin, the task).
_Place = tuple[int, float, str, "weakref.ref[Task]"]

_SORTED_BY: Final = itemgetter(0, 1, 2)


class TaskOrder:
    """Where each event of each task stands in time, up to *most* of them. Used under the lock of its state."""

    def __init__(self, most: int) -> None:
        self.places: list[_Place] = []
        self._most = most

    def add(self, clock: int, timestamp: float, origin: str, task: Task) -> None:
        """Note an event; the oldest make room for it."""
        places = self.places
        if len(places) >= self._most:
            del places[: max(1, self._most // 10)]
        place: _Place = (clock, timestamp, origin, weakref.ref(task))
        if places and _SORTED_BY(place) < _SORTED_BY(places[-1]):
            bisect.insort(places, place, key=_SORTED_BY)
        else:
            places.append(place)  # nearly always

    def rebuild(self, tasks: Iterable[Task]) -> None:
        """Begin anew with the last event of each of *tasks*."""
        places: list[_Place] = [
            (task.clock or 0, task.timestamp or 0.0, task.origin or "", weakref.ref(task)) for task in tasks
        ]
        self.places[:] = sorted(places, key=_SORTED_BY)

    def latest_first(self) -> Iterator[Task]:
        """Give each task once, the one whose last event is the latest first."""
        seen: set[int] = set()
        for place in reversed(list(self.places)):
            task = place[3]()
            if task is not None and id(task) not in seen:
                seen.add(id(task))
                yield task


class TaskIndex(dict[str, "weakref.WeakSet[Task]"]):
    """The tasks of each name, or of each worker; called, it gives (uuid, task) of one in the order of time."""

    def __init__(
        self, ordered: Callable[[bool], Iterator[tuple[str, Task]]], belongs: Callable[[Task, str], bool]
    ) -> None:
        super().__init__()
        self._ordered = ordered
        self._belongs = belongs

    def __missing__(self, key: str) -> weakref.WeakSet[Task]:
        found: weakref.WeakSet[Task] = weakref.WeakSet()
        self[key] = found
        return found

    def __call__(self, key: str, limit: int | None = None, reverse: bool = True) -> Iterator[tuple[str, Task]]:
        """Give the tasks of *key*, the latest first unless *reverse* is false, at most *limit*."""
        found = ((uuid, task) for uuid, task in self._ordered(reverse) if self._belongs(task, key))
        return itertools.islice(found, 0, limit)


class Families:
    """Which task is whose child, also where the parent is heard of later; *most* parents are waited for."""

    def __init__(self, most: int) -> None:
        self._orphans: LimitedDict[str, dict[str, None]] = LimitedDict(most)

    def relate(self, task: Task, tasks: Mapping[str, Task]) -> None:
        """Tell the parent of *task* of it, and *task* of the children that came before it."""
        uuid = str(task.uuid)
        if task.parent_id:
            parent = tasks.get(task.parent_id)
            if parent is not None:
                parent.add_child(uuid)
            else:
                orphans = self._orphans.get(task.parent_id)
                if orphans is None:
                    orphans = self._orphans[task.parent_id] = {}
                orphans[uuid] = None
        for child in self._orphans.pop(uuid, ()):
            task.add_child(child)
