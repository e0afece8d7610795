"""Grows and shrinks the pool with the work there is, between two bounds."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["Autoscaler"]

logger = logging.getLogger("umbel.worker.autoscale")

_KEEPALIVE_S = 30.0


class Autoscaler:
    """Looks now and then at how much the worker holds. Thread-safe.

    It grows at once, and shrinks when the pool was larger than needed for *keepalive_s* (the environment's
    ``AUTOSCALE_KEEPALIVE``, by default 30 s).
    """

    def __init__(self, worker: Worker, most: int, least: int, keepalive_s: float | None = None) -> None:
        self._worker = worker
        self._most, self._least = most, least
        self._keepalive_s = (
            float(os.environ.get("AUTOSCALE_KEEPALIVE") or _KEEPALIVE_S) if keepalive_s is None else keepalive_s
        )
        self._lock = threading.Lock()
        self._needed_at = time.monotonic()

    def scale(self) -> None:
        """Look, and resize the pool when it should be another size."""
        with self._lock:
            wanted = self._wanted(time.monotonic())
            if wanted != self._worker.concurrency:
                self._resize(wanted)

    def _wanted(self, now: float) -> int:
        size, held = self._worker.concurrency, self._worker.jobs.size()
        if held >= size:
            self._needed_at = now
            # As many as it holds; one more where it fetches only what it can start.
            return max(self._least, min(max(held, size + 1), self._most))
        if now - self._needed_at > self._keepalive_s:
            return max(self._least, min(size, held, self._most))
        return max(self._least, min(size, self._most))

    def _resize(self, wanted: int) -> None:
        size = self._worker.concurrency
        logger.info("Scaling %s from %d to %d processes.", "up" if wanted > size else "down", size, wanted)
        self._worker.resize(wanted)

    def update(self, most: int | None = None, least: int | None = None) -> tuple[int, int]:
        """Change the bounds and return them. Raises ``ValueError`` for bounds that are none."""
        with self._lock:
            new_most = self._most if most is None else int(most)
            new_least = self._least if least is None else max(1, int(least))
            if new_most < 1 or new_least > new_most:
                raise ValueError(f"expected 1 <= min <= max, got max={new_most} and min={new_least}")
            self._most, self._least = new_most, new_least
        self.scale()
        return new_most, new_least

    def info(self) -> Mapping[str, Any]:
        """Return figures for people."""
        return {
            "max": self._most,
            "min": self._least,
            "current": self._worker.concurrency,
            "qty": self._worker.jobs.size(),
        }
