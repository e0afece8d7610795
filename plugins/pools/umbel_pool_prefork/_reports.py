"""What the pool says to its listener: outcomes gathered to one call a round, a raising listener tolerated."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from umbel.spi import PoolListener

__all__ = ["Reports"]

_log = logging.getLogger("umbel.pool.prefork")


class Reports:
    """Calls the listener from the pool's I/O thread."""

    def __init__(self, listener: PoolListener) -> None:
        self._listener = listener
        self._outcomes: list[tuple[int, bytes]] = []
        #: Takes one (job id, outcome); handed over with the next :meth:`flush`.
        self.finished = self._outcomes.append
        self._room_changed = False

    def room_changed(self) -> None:
        self._room_changed = True

    def lost(self, job_id: int, reason: str) -> None:
        self._say(self._listener.lost, job_id, reason)

    def timed_out(self, job_id: int, limit_s: float) -> None:
        self._say(self._listener.timed_out, job_id, limit_s)

    def soft_timed_out(self, job_id: int, limit_s: float) -> None:
        self._say(self._listener.soft_timed_out, job_id, limit_s)

    def terminated(self, job_id: int, signal: str) -> None:
        self._say(self._listener.terminated, job_id, signal)

    def failed(self, reason: str) -> None:
        self.flush()
        self._say(self._listener.failed, reason)

    def flush(self) -> None:
        """Hand over what was gathered in this round."""
        if self._outcomes:
            outcomes = self._outcomes.copy()
            self._outcomes.clear()
            self._room_changed = True
            self._say(self._listener.finished, outcomes)
        if self._room_changed:
            self._room_changed = False
            self._say(self._listener.room_changed)

    def _say(self, report: Callable[..., None], *data: Any) -> None:
        try:
            report(*data)
        except Exception:  # [B1005] the listener's fault must not stop the pool
            _log.exception("the pool's listener raised in %s; expected it to take every report", report.__name__)
