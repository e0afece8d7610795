"""Cutting off what runs when the broker is lost, where that is wanted: it will be delivered again, and would run twice."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

from umbel.exceptions import ImproperlyConfigured
from umbel.worker.steps import Step

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["CancelStep"]

logger = logging.getLogger("umbel.worker")


class CancelStep(Step):
    """Takes part with ``worker_cancel_long_running_tasks_on_connection_loss``."""

    name = "cancelling"
    requires: ClassVar = ("intake",)

    def include_if(self, worker: Worker) -> bool:
        return bool(worker.app.conf.worker_cancel_long_running_tasks_on_connection_loss)

    def create(self, worker: Worker) -> None:
        if not worker.pool.capabilities.terminate:
            raise ImproperlyConfigured(
                f"worker_cancel_long_running_tasks_on_connection_loss is set, and the pool {worker.options.pool!r} "
                "cannot cut off a task that runs; use prefork, or unset it"
            )
        worker.intake.on_lost = self._cancel

    def _cancel(self) -> None:
        """Terminate what is acknowledged late; what is acknowledged already does not come again. In the intake's thread."""
        worker = self.worker
        held = worker.jobs.items()
        cancelled = worker.translator.cancelled
        cancelled &= {job_id for job_id, _ in held}  # those of the last loss that had ended by themselves
        for job_id, each in held:
            if not each.acknowledged:
                cancelled.add(job_id)
                logger.warning("Task %s[%s] is cancelled: its broker is lost", each.name, each.task_id)
                worker.pool.terminate(job_id, "SIGTERM")
