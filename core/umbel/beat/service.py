"""The loop of beat."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from umbel import signals
from umbel.beat.lazy import evaluated_args, evaluated_kwargs
from umbel.exceptions import OperationalError

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.spi import ScheduleEntry, Scheduler

__all__ = ["Service"]

logger = logging.getLogger("umbel.beat")

#: After an entry could not be sent: the first pause, and the longest.
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0


class Service:
    """Sends what is due, until it is stopped.

    *scheduler* is a plugin's name (``beat_scheduler`` for ``None``), *schedule_filename* the file of one that keeps its
    times in a file, *max_interval* the longest sleep in seconds between two looks. Exactly one may run for a schedule.
    Making it connects to nothing; :meth:`stop` may be called from any thread and from signal handlers.
    """

    def __init__(
        self,
        app: Umbel,
        *,
        scheduler: str | None = None,
        schedule_filename: str | None = None,
        max_interval: float | None = None,
    ) -> None:
        conf = app.conf
        self.app = app
        self.scheduler_name = str(scheduler or conf.beat_scheduler)
        self.schedule_filename = schedule_filename or conf.beat_schedule_filename
        self.max_interval = float(max_interval or conf.beat_max_loop_interval or 300.0)
        self.last_tick = 0.0
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._scheduler: Scheduler | None = None
        self._pause_s = 0.0

    @property
    def scheduler(self) -> Scheduler:
        """What keeps the entries; made on first use. Raises for a wrong schedule, or one that another beat uses."""
        if self._scheduler is None:
            options = {"schedule_filename": self.schedule_filename, "max_interval": self.max_interval}
            self._scheduler = self.app.host.scheduler(self.app, self.scheduler_name, options)
        return self._scheduler

    def start(self, embedded: bool = False) -> None:
        """Send what is due until :meth:`stop`; times are made durable and the scheduler closed on return."""
        signals.beat_init.send_robust(sender=self)
        if embedded:
            signals.beat_embedded_init.send_robust(sender=self)
        scheduler = self.scheduler
        logger.info("beat: started with %d entries", len(scheduler.entries()))
        try:
            while not self._stopping.is_set():
                self._stopping.wait(self.tick())
        finally:
            scheduler.close()
            self._stopped.set()
            logger.info("beat: stopped")

    def tick(self) -> float:
        """Send what is due now; return how many seconds to sleep until the next look."""
        scheduler = self.scheduler
        self.last_tick = time.time()
        due, sleep_s = scheduler.due(self.last_tick)
        was_sent = [self._send(entry) for entry in due]
        if due:
            scheduler.sync()
        if not all(was_sent):
            self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2 or _FIRST_PAUSE_S)
            return self._pause_s
        self._pause_s = 0.0
        # What was due has a next time, which only another look tells.
        return 0.0 if due else min(sleep_s, self.max_interval)

    def _send(self, entry: ScheduleEntry) -> bool:
        """Send one entry; say whether it is done with: one that could not be sent stays due."""
        logger.info("Scheduler: Sending due task %s (%s)", entry.name, entry.task)
        options: Mapping[str, Any] = entry.options
        try:
            self.app.send_task(entry.task, evaluated_args(entry.args), evaluated_kwargs(entry.kwargs), **options)
        except OperationalError as error:
            logger.warning("beat: %s could not be sent and will be tried again: %s", entry.name, error)
            return False
        except Exception:  # arguments that cannot be made or sent: trying again at once helps nobody
            logger.exception("beat: %s cannot be sent; it is tried again at its next time", entry.name)
        self.scheduler.sent(entry, time.time())
        return True

    def stop(self, wait: bool = False) -> None:
        """End the loop; with *wait*, return when it has ended."""
        self._stopping.set()
        if wait:
            self._stopped.wait()
