"""The worker's own steps. The pool comes first: it may fork, which only a process of one thread should do."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from umbel.worker.cancelling import CancelStep
from umbel.worker.collecting import BatchesStep
from umbel.worker.events import EventsStep, GossipStep
from umbel.worker.http import HttpStep
from umbel.worker.steps import Step

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["BUILTIN_STEPS", "IntakeStep", "OutflowStep", "PoolStep", "TimersStep", "TrafficStep"]

logger = logging.getLogger("umbel.worker")

_EXPIRE_EVERY_S = 600.0
#: How long ends may take to be committed once the pool has stopped, when broker or store are in trouble.
_LAST_COMMITS_S = 10.0
_LAST_COMMITS_COLD_S = 3.0


class PoolStep(Step):
    """The pool: started before any thread, gone after everything that uses it."""

    name = "pool"

    def start(self, worker: Worker) -> None:
        worker.pool.start(worker.executor, worker.reports)

    def stop(self, worker: Worker) -> None:
        worker.pool.stop(drain=False, timeout_s=None)
        worker.executor.close()

    def info(self, worker: Worker) -> Mapping[str, Any]:
        return worker.pool.describe()


class TimersStep(Step):
    """The thread that holds tasks until they are due, and the sweep of expired results."""

    name = "timers"
    requires: ClassVar = ("pool",)

    def start(self, worker: Worker) -> None:
        worker.presence.acquire()
        worker.timers.start()
        if worker.keeps_results:
            worker.timers.call_after(60.0 + 60.0 * random.random(), lambda: self._sweep(worker))

    def _sweep(self, worker: Worker) -> None:
        try:
            backend = worker.app.backend_for(None)
            if backend.capabilities.expires:
                return
            gone = backend.expire(time.time())
            logger.debug("removed %d expired results", gone)
        except Exception as error:
            logger.warning("expired results could not be removed: %s", error)
        worker.timers.call_after(_EXPIRE_EVERY_S, lambda: self._sweep(worker))

    def stop(self, worker: Worker) -> None:
        worker.timers.stop()
        worker.presence.release()


class OutflowStep(Step):
    """The belt that carries ends away."""

    name = "outflow"
    requires: ClassVar = ("pool",)

    def start(self, worker: Worker) -> None:
        worker.outflow.start()

    def stop(self, worker: Worker) -> None:
        worker.outflow.stop(_LAST_COMMITS_S)

    def terminate(self, worker: Worker) -> None:
        worker.outflow.stop(_LAST_COMMITS_COLD_S)

    def info(self, worker: Worker) -> Mapping[str, Any]:
        return {"healthy": worker.outflow.is_healthy, "backlog": worker.outflow.backlog()}


class IntakeStep(Step):
    """The belt that brings messages in; its consumer is closed only after the pool is done [B976]."""

    name = "intake"
    requires: ClassVar = ("outflow", "timers")

    def start(self, worker: Worker) -> None:
        worker.intake.pause()  # until all steps, the users' among them, have started
        worker.intake.start()

    def stop(self, worker: Worker) -> None:
        if not worker.pool_has_drained:  # the start failed half way: nothing may be left running behind the consumer
            worker.pool.stop(drain=False, timeout_s=None)
        worker.outflow.flush(_LAST_COMMITS_COLD_S)
        worker.intake.stop()

    def info(self, worker: Worker) -> Mapping[str, Any]:
        intake = worker.intake
        return {"connected": intake.is_connected, "reconnects": intake.reconnects, "queues": sorted(intake.queues)}


class TrafficStep(Step):
    """Opens the gate when everything stands, and closes it first: finishes what runs, gives back what has not started."""

    name = "traffic"
    requires: ClassVar = ("intake",)
    last = True

    def start(self, worker: Worker) -> None:
        worker.intake.resume()

    def stop(self, worker: Worker) -> None:
        self._end(worker, drain=True, timeout_s=worker.options.shutdown_timeout_s)

    def terminate(self, worker: Worker) -> None:
        soft_s = worker.options.soft_shutdown_timeout_s
        self._end(worker, drain=soft_s > 0, timeout_s=soft_s)

    def _end(self, worker: Worker, *, drain: bool, timeout_s: float | None) -> None:
        worker.intake.pause()
        worker.admission.give_back_waiting()
        unfinished = worker.pool.stop(drain=drain, timeout_s=timeout_s)
        worker.pool_has_drained = True
        for held in worker.jobs.take(unfinished):
            worker.outflow.put(worker.failures.back_uncounted(held))
        worker.outflow.flush(_LAST_COMMITS_S if drain else _LAST_COMMITS_COLD_S)
        for held in worker.jobs.take_all():
            worker.outflow.put(worker.failures.back_uncounted(held))


BUILTIN_STEPS: tuple[type[Step], ...] = (
    PoolStep,
    TimersStep,
    OutflowStep,
    EventsStep,
    GossipStep,
    HttpStep,
    IntakeStep,
    BatchesStep,
    CancelStep,
    TrafficStep,
)
