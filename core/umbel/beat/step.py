"""Beat inside of a worker (``umbel worker -B``)."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from umbel.beat.service import Service
from umbel.worker.steps import Step

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["beat_step"]

logger = logging.getLogger("umbel.beat")


def beat_step(**options: Any) -> type[Step]:
    """Return a worker step that runs :class:`~umbel.beat.Service` with *options* in a thread, for one worker alone."""

    class BeatStep(Step):
        """Beat, started when the worker's other parts stand."""

        name = "beat"
        requires: ClassVar = ("intake",)

        def create(self, worker: Worker) -> None:
            self._service = Service(worker.app, **options)
            self._service.scheduler  # noqa: B018 - a wrong schedule stops the worker's start, and not a thread of it
            self._thread = threading.Thread(target=self._run, name="umbel-beat", daemon=True)

        def _run(self) -> None:
            try:
                self._service.start(embedded=True)
            except Exception:
                logger.exception("beat ended; the worker goes on without it")

        def start(self, worker: Worker) -> None:
            self._thread.start()

        def stop(self, worker: Worker) -> None:
            self._service.stop()
            self._thread.join(10.0)

    return BeatStep
