"""The state of a cluster: what its events say of workers and tasks."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from umbel.events.lru import LimitedDict
from umbel.events.ordering import Families, TaskIndex, TaskOrder
from umbel.events.tasks import Task
from umbel.events.workers import Worker

__all__ = ["State", "Task", "Worker"]


class State:
    """Take events in with :meth:`event`; ask for :attr:`workers`, :attr:`tasks` and their orders at any time.

    It remembers the *max_tasks_in_memory* tasks and *max_workers_in_memory* workers that were heard of last.
    *callback* is called with (state, event) for each event; *on_node_join* and *on_node_leave* with a worker. Any
    thread may use it. It can be pickled; its callbacks must be, then.
    """

    #: A task is noted in the order of time with each of its events, up to so many times the number of tasks.
    heap_multiplier: ClassVar[int] = 4

    def __init__(
        self,
        callback: Callable[[State, Mapping[str, Any]], Any] | None = None,
        workers: Mapping[str, Worker] | None = None,
        tasks: Mapping[str, Task] | None = None,
        taskheap: Any = None,
        max_workers_in_memory: int = 5000,
        max_tasks_in_memory: int = 10000,
        on_node_join: Callable[[Worker], Any] | None = None,
        on_node_leave: Callable[[Worker], Any] | None = None,
    ) -> None:
        self.event_callback = callback
        self.max_workers_in_memory = max_workers_in_memory
        self.max_tasks_in_memory = max_tasks_in_memory
        self.on_node_join = on_node_join
        self.on_node_leave = on_node_leave
        #: How many events, and among them how many received tasks, came since the last :meth:`clear`.
        self.event_count = 0
        self.task_count = 0
        #: Called with (the rest of the type, the event) for events of a group, instead of what is done with it here.
        self.handlers: dict[str, Callable[[str, dict[str, Any]], Any]] = {}
        self.workers: LimitedDict[str, Worker] = LimitedDict(max_workers_in_memory, workers or {})
        self.tasks: LimitedDict[str, Task] = LimitedDict(max_tasks_in_memory, tasks or {})
        self._seen_types: set[str] = set()
        self._families = Families(max_tasks_in_memory)
        self._buffers = True
        for task in self.tasks.values():
            task.cluster_state = self
        self._make_views()

    def _make_views(self) -> None:
        """Make what follows from the tasks."""
        self._mutex = threading.RLock()
        self._frozen: list[dict[str, Any]] | None = None
        self._order = TaskOrder(self.max_tasks_in_memory * self.heap_multiplier)
        self.tasks_by_type = TaskIndex(self._by_time, lambda task, name: task.name == name)
        self.tasks_by_worker = TaskIndex(
            self._by_time, lambda task, node: task.worker is not None and task.worker.hostname == node
        )
        for task in self.tasks.values():
            self._index(task)
        self.rebuild_taskheap()

    # -- events -------------------------------------------------------------------------------------------------------

    def event(self, event: dict[str, Any]) -> Any:
        """Take in *event*; return ((worker or task, whether it is new), the rest of its type), or ``None``."""
        with self._mutex:
            if self._frozen is not None:
                if self._buffers:
                    self._frozen.append(event)
                return None
            return self._event(event)

    def _event(self, event: dict[str, Any]) -> Any:
        self.event_count += 1
        if self.event_callback is not None:
            self.event_callback(self, event)
        group, _, subject = event["type"].partition("-")
        handler = self.handlers.get(group)
        if handler is not None:
            return handler(subject, event), subject
        if group == "worker" and event.get("hostname"):
            return self._worker_event(subject, event), subject
        if group == "task" and event.get("uuid"):
            return self._task_event(subject, event), subject
        return None

    def _worker_event(self, subject: str, event: dict[str, Any]) -> tuple[Worker, bool]:
        hostname = event["hostname"]
        worker = self.workers.get(hostname)
        is_new = worker is None and subject != "offline"
        if worker is None:
            worker = Worker(hostname)
            if is_new:
                self.workers[hostname] = worker
        worker.event(subject, event.get("timestamp"), event.get("local_received"), event)
        if self.on_node_join is not None and (is_new or subject == "online"):
            self.on_node_join(worker)
        if subject == "offline":
            if self.on_node_leave is not None:
                self.on_node_leave(worker)
            if not worker.heartbeats:
                self.workers.pop(hostname, None)
        return worker, is_new

    def _task_event(self, subject: str, event: dict[str, Any]) -> tuple[Task, bool]:
        uuid, hostname, timestamp = event["uuid"], event.get("hostname") or "", event.get("timestamp") or 0.0
        task, is_new = self.get_or_create_task(uuid)
        origin = hostname
        if subject != "sent" and hostname:
            worker, _ = self.get_or_create_worker(hostname)
            worker.event(None, timestamp, event.get("local_received"))
            origin = worker.id
        if subject == "received":
            self.task_count += 1
        task.event(subject, timestamp, event.get("local_received"), event)
        if task.spoken_of_by is not None:
            task.worker, _ = self.get_or_create_worker(task.spoken_of_by)
        self._order.add(event.get("clock") or 0, timestamp, origin, task)
        self._index(task)
        self._families.relate(task, self.tasks)
        return task, is_new

    def _index(self, task: Task) -> None:
        if task.name is not None:
            self._seen_types.add(task.name)
            self.tasks_by_type[task.name].add(task)
        if task.worker is not None and task.worker.hostname is not None:
            self.tasks_by_worker[task.worker.hostname].add(task)

    def task_event(self, type_: str, fields: Mapping[str, Any]) -> Any:
        """Take in ``task-<type_>``; :meth:`event` is to be preferred."""
        answer = self.event({**fields, "type": f"task-{type_}"})
        return answer and answer[0]

    def worker_event(self, type_: str, fields: Mapping[str, Any]) -> Any:
        """Take in ``worker-<type_>``; :meth:`event` is to be preferred."""
        answer = self.event({**fields, "type": f"worker-{type_}"})
        return answer and answer[0]

    # -- holding still ------------------------------------------------------------------------------------------------

    def freeze(self, buffer: bool = True) -> None:
        """Change no more until :meth:`thaw`. Events that come meanwhile wait; without *buffer* they are dropped."""
        with self._mutex:
            if self._frozen is None:
                self._frozen = []
            self._buffers = buffer

    def thaw(self, replay: bool = True) -> None:
        """Change again; with *replay* take in what has waited."""
        with self._mutex:
            waiting, self._frozen = self._frozen, None
            if replay:
                for event in waiting or ():
                    self._event(event)

    def freeze_while(self, fun: Callable[..., Any], *args: Any, clear_after: bool = False, **kwargs: Any) -> Any:
        """Call *fun* while nothing changes, and with *clear_after* forget afterwards. No event is lost [B1149]."""
        self.freeze()
        try:
            return fun(*args, **kwargs)
        finally:
            with self._mutex:
                if clear_after:
                    self._clear(ready=True)
                self.thaw()

    # -- forgetting ---------------------------------------------------------------------------------------------------

    def clear(self, ready: bool = True) -> None:
        """Forget workers and counts, and the tasks: those that have ended, or all when *ready* is false.

        As in Celery, tasks in progress are kept with *ready*.
        """
        with self._mutex:
            self._clear(ready)

    def _clear(self, ready: bool) -> None:
        self.workers.clear()
        self._clear_tasks(ready)
        self.event_count = self.task_count = 0

    def clear_tasks(self, ready: bool = True) -> None:
        """Forget the tasks that have ended, or all when *ready* is false."""
        with self._mutex:
            self._clear_tasks(ready)

    def _clear_tasks(self, ready: bool) -> None:
        kept = {uuid: task for uuid, task in self.tasks.items() if ready and not task.ready}
        self.tasks.clear()
        for uuid, task in kept.items():
            self.tasks[uuid] = task
        self.rebuild_taskheap()

    def rebuild_taskheap(self) -> None:
        """Make the order of time anew, from the tasks that are known."""
        with self._mutex:
            self._order.rebuild(self.tasks.values())

    # -- looking ------------------------------------------------------------------------------------------------------

    def get_or_create_worker(self, hostname: str, **kwargs: Any) -> tuple[Worker, bool]:
        """Return the worker *hostname*, and whether it is new; *kwargs* are set on it."""
        worker = self.workers.get(hostname)
        if worker is not None:
            if kwargs:
                worker.update(kwargs)
            return worker, False
        worker = self.workers[hostname] = Worker(hostname, **kwargs)
        return worker, True

    def get_or_create_task(self, uuid: str) -> tuple[Task, bool]:
        """Return the task *uuid*, and whether it is new."""
        task = self.tasks.get(uuid)
        if task is not None:
            return task, False
        task = self.tasks[uuid] = Task(uuid, cluster_state=self)
        return task, True

    def itertasks(self, limit: int | None = None) -> Iterator[tuple[str, Task]]:
        """Give (uuid, task) of up to *limit* tasks, those first that were heard of first."""
        yield from itertools.islice(self.tasks.items(), 0, limit or None)

    def tasks_by_time(self, limit: int | None = None, reverse: bool = True) -> Iterator[tuple[str, Task]]:
        """Give (uuid, task), the one whose last event is the latest first unless *reverse* is false."""
        return itertools.islice(self._by_time(reverse), 0, limit)

    tasks_by_timestamp = tasks_by_time

    def _by_time(self, reverse: bool) -> Iterator[tuple[str, Task]]:
        found = ((str(task.uuid), task) for task in self._order.latest_first() if task.uuid in self.tasks)
        return found if reverse else reversed(list(found))

    def task_types(self) -> list[str]:
        """Return the names of all tasks that were heard of, sorted."""
        with self._mutex:
            return sorted(self._seen_types)

    def alive_workers(self) -> Iterator[Worker]:
        """Give the workers that were heard not too long ago."""
        return (worker for worker in self.workers.values() if worker.alive)

    def __getstate__(self) -> dict[str, Any]:
        with self._mutex:
            kept = dict(self.__dict__)
        for name in ("_mutex", "_order", "tasks_by_type", "tasks_by_worker", "_frozen"):
            del kept[name]
        return kept

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        self._make_views()

    def __repr__(self) -> str:
        return f"<State: events={self.event_count} tasks={self.task_count}>"
