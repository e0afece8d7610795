"""A new pool in a worker that goes on working."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from umbel.exceptions import UmbelError
from umbel.worker.steps import StepState

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["restart_pool"]

logger = logging.getLogger("umbel.worker")

#: A process of a pool may be killed at its birth by somebody; three in a row have something wrong with them.
_TRIES: Final = 3


def restart_pool(worker: Worker) -> None:
    """Fetch nothing, wait for what runs, start a new pool with the tasks as they are now, and fetch again.

    What had not started goes back to the broker, and so does what becomes due meanwhile.
    """
    if worker.graph.state != StepState.RUNNING or worker.pool_has_drained:
        return
    logger.warning("the pool is made anew, told from outside")
    worker.intake.pause()
    worker.pool_has_drained = True
    try:
        for held in worker.jobs.take(worker.pool.stop(drain=True, timeout_s=None)):
            worker.outflow.put(worker.failures.back_uncounted(held))
        worker.executor.close()
        if worker.graph.state != StepState.RUNNING:
            return  # the worker stops meanwhile, and needs no pool
        worker.admission.forget_orders()
        _start_pool(worker)
    except Exception:
        logger.critical("the pool could not be made anew", exc_info=True)
        worker.on_failure("the pool could not be made anew")
        return
    worker.pool_has_drained = False
    worker.intake.resume()


def _start_pool(worker: Worker) -> None:
    for tries_left in reversed(range(_TRIES)):
        worker.executor = worker.make_executor()
        worker.pool = worker.make_pool()
        try:
            worker.pool.start(worker.executor, worker.reports)
            if worker.concurrency != worker.options.concurrency:
                worker.pool.resize(worker.concurrency)
        except UmbelError as error:
            if not tries_left or worker.graph.state != StepState.RUNNING:
                raise
            logger.warning("trying again to make the pool anew: %s", error)
        else:
            return
