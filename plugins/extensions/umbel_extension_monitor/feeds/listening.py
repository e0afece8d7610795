"""Listens to events for as long as the monitor runs, over lost connections too."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Any, Final

from umbel.exceptions import UmbelError
from umbel_extension_monitor.picture.cluster import Cluster

__all__ = ["Listening"]

_WAIT_S: Final = 0.5
_FIRST_RETRY_S: Final = 0.5
_LONGEST_RETRY_S: Final = 5.0
#: Of each second so much is left to those who draw and read keys.
_REST_SHARE: Final = 0.3
_AT_A_STRETCH: Final = 100
_MANY_STRETCHES: Final = 10
#: Above, fewer tasks are shown; below, more. In shares of the time.
_BUSY, _IDLE = 0.6, 0.15
_FEWEST_ONE_IN: Final = 1024
#: Who is so far behind goes on with what comes now.
_MOST_LATE_S: Final = 10.0

logger = logging.getLogger("umbel.monitor")


class Listening:
    """Takes events from the broker of *app* into *cluster*: :meth:`run`, in a thread, until :meth:`stop`.

    When the connection is lost it says so in :attr:`trouble` and tries again; workers are asked for a sign of life then.
    A part of the time is left to those who draw, however many events come.
    """

    def __init__(self, app: Any, cluster: Cluster) -> None:
        self._app = app
        self._cluster = cluster
        self._stopping = threading.Event()
        self._receiver: Any = None
        #: Whether it hears, what is wrong when it does not, and when it tries again (Unix seconds).
        self.is_connected = False
        self.trouble: str | None = None
        self.retry_at = 0.0
        #: How often what waited was passed over, since it was too old; how many events were nonsense.
        self.skips = 0
        self.refused = 0
        self._is_too_late = False
        self._usual_lag_s = 0.0
        self._taken = self._stretches = 0
        self._stretch_began = 0.0
        self._busy_s = 0.0
        self._judged_at = time.monotonic()

    def run(self) -> None:
        """Listen; return after :meth:`stop`."""
        retry_s = _FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                self._listen()
            except (UmbelError, OSError) as error:
                retry_s = _FIRST_RETRY_S if self.is_connected else min(_LONGEST_RETRY_S, retry_s * 2)
                self.is_connected = False
                self.retry_at = time.time() + retry_s
                self.trouble = " ".join(str(error).split()) or type(error).__name__
                self._stopping.wait(retry_s)

    def _listen(self) -> None:
        """Listen until it fails, is stopped, or is too far behind."""
        receiver = self._app.events.Receiver(handlers={"*": self._take})
        with contextlib.closing(receiver):
            receiver.open()
            self._receiver = receiver
            self.is_connected, self.trouble = True, None
            receiver.wakeup_workers()
            while not (self._stopping.is_set() or self._is_too_late):
                self._taken = self._stretches = 0
                began = time.monotonic()
                receiver.drain(_WAIT_S)
                if self._taken:
                    self._busy_s += time.monotonic() - self._stretch_began
                if self._stretches > _MANY_STRETCHES:  # then it was not waiting that came before the first, but reading
                    self._busy_s = max(self._busy_s, time.monotonic() - began)
                self._judge()
        if self._is_too_late:  # what waits in the broker is dropped with the queue
            self._is_too_late = False
            self.skips += 1

    def _take(self, event: dict[str, Any]) -> None:
        if self._stopping.is_set() or self._is_too_late:
            return
        if self._taken == 0:  # what was before is waiting
            self._stretch_began = time.monotonic()
        try:
            self._cluster.take(event)
        except Exception as error:  # an event may hold anything, and the next one is good
            self.refused += 1
            logger.debug("an event could not be taken in: %s: %s", type(error).__name__, error)
        self._taken += 1
        if self._taken == _AT_A_STRETCH:
            took_s = time.monotonic() - self._stretch_began
            self._busy_s += took_s
            self._taken = 0
            self._stretches += 1
            self._stopping.wait(took_s * _REST_SHARE)
            self._judge()

    def _judge(self) -> None:
        """Show fewer tasks while more events come than can be worked in, and more again afterwards."""
        now = time.monotonic()
        passed_s = now - self._judged_at
        if passed_s < 1.0:
            return
        share, self._busy_s, self._judged_at = self._busy_s / passed_s, 0.0, now
        cluster = self._cluster
        if share > _BUSY and cluster.one_in < _FEWEST_ONE_IN:
            cluster.one_in *= 2
        elif share < _IDLE and cluster.one_in > 1:
            cluster.one_in //= 2
        if cluster.one_in == 1:
            self._usual_lag_s = cluster.lag_s  # clocks may differ
        elif cluster.lag_s - self._usual_lag_s > _MOST_LATE_S:
            self._is_too_late = True

    def stop(self) -> None:
        """Let :meth:`run` return. Any thread."""
        self._stopping.set()
        if self._receiver is not None:
            self._receiver.stop()
