"""Collecting calls of batch tasks: a gate keeps them until there are enough, or the first has waited long enough."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from umbel.contrib.batches import Batches
from umbel.spi import Job
from umbel.worker import frames
from umbel.worker.endings import Ending, Verdict
from umbel.worker.held import Held, HeldTogether
from umbel.worker.steps import Step
from umbel.worker.timers import Timer

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["BatchesStep"]

logger = logging.getLogger("umbel.worker.batches")


class BatchesStep(Step):
    """Takes part where a task is a batch task. What it still holds when the worker stops goes back, uncounted."""

    name = "batches"
    requires: ClassVar = ("intake",)

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._waiting: dict[str, list[Held]] = {}
        self._timers: dict[str, Timer] = {}
        self._lock = threading.Lock()

    def include_if(self, worker: Worker) -> bool:
        return any(isinstance(task, Batches) for task in worker.app.tasks.values())

    def create(self, worker: Worker) -> None:
        worker.admission.gates.append(self._collect)

    def stop(self, worker: Worker) -> None:
        with self._lock:
            names = list(self._waiting)
        for name in names:
            for held in self._take(name):
                worker.outflow.put(worker.failures.back_uncounted(held))

    def info(self, worker: Worker) -> Mapping[str, Any]:
        with self._lock:
            return {"waiting": {name: len(held) for name, held in self._waiting.items()}}

    def _collect(self, held: Held) -> Ending | None:
        """Keep *held* if it calls a batch task. Called by the intake and by timers."""
        task = self.worker.app.tasks.get(held.name)
        if not isinstance(task, Batches):
            return None
        with self._lock:
            waiting = self._waiting.setdefault(held.name, [])
            waiting.append(held)
            is_first, is_full = len(waiting) == 1, len(waiting) >= task.flush_every
            if is_first and not is_full:
                flush = partial(self._flush, held.name)
                self._timers[held.name] = self.worker.timers.call_after(task.flush_interval, flush)
        if is_full:
            self._flush(held.name)
        return Ending(verdict=Verdict.NOTHING)

    def _take(self, name: str) -> list[Held]:
        with self._lock:
            timer = self._timers.pop(name, None)
            waiting = self._waiting.pop(name, [])
        if timer is not None:
            timer.cancel()
        return waiting

    def _flush(self, name: str) -> None:
        """Run what is together of the task *name*."""
        worker = self.worker
        members: list[Held] = []
        for held in self._take(name):
            if worker.control.revoked.includes(held):
                worker.outflow.put(worker.failures.revoked(held, "revoked"))
            else:
                members.append(held)
        if not members:
            return
        task, options = worker.app.tasks[name], worker.options
        first = members[0]
        together = HeldTogether(first.delivery, name, first.task_id, first.generation, first.count, members=members)
        payloads = [frames.encode_job(held.delivery, worker.admission.flags, held.count) for held in members]
        job = Job(
            worker.jobs.add(together),
            frames.encode_together(payloads),
            name,
            options.time_limit_s if task.time_limit is None else task.time_limit,
            options.soft_time_limit_s if task.soft_time_limit is None else task.soft_time_limit,
        )
        logger.debug("%d calls of %s run together", len(members), name)
        worker.submit([job])
