"""Asks, every now and then, what events do not tell: how much waits in queues, and what workers are made of."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from umbel.exceptions import UmbelError

__all__ = ["QueueFigures", "Surveying"]

_DEPTHS_EVERY_S: Final = 1.0
_WORKERS_EVERY_S: Final = 15.0
_MOST_QUEUES: Final = 300
_SAMPLES: Final = 300
_ANSWER_WITHIN_S: Final = 1.5


@attrs.define(eq=False)
class QueueFigures:
    """A queue: how many messages wait in it (``None``: the broker does not say), since when, and who takes them."""

    name: str
    depths: deque[tuple[float, int]] = attrs.field(factory=lambda: deque(maxlen=_SAMPLES))
    #: ``None``: nobody has said.
    workers: frozenset[str] | None = None

    @property
    def depth(self) -> int | None:
        """How many messages wait."""
        return self.depths[-1][1] if self.depths else None

    def change_per_s(self, over_s: float = 15.0) -> float:
        """Return by how many messages a second it grows, or with a minus shrinks, over the last *over_s* seconds."""
        samples = list(self.depths)
        if len(samples) < 2:
            return 0.0
        last_at, last = samples[-1]
        first_at, first = next(sample for sample in samples if sample[0] >= last_at - over_s)
        return (last - first) / (last_at - first_at) if last_at > first_at else 0.0


class Surveying:
    """Counts messages and asks workers: :meth:`run`, in a thread, until :meth:`stop`; any thread may look."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._stopping = threading.Event()
        self._transport: Any = None
        self._asked_at = float("-inf")
        self._queues: dict[str, QueueFigures] = {}
        #: What workers answered to ``stats``, by node.
        self.stats: Mapping[str, Mapping[str, Any]] = {}
        self.version = 0

    def run(self) -> None:
        """Ask until :meth:`stop`."""
        for name in self._app.queues.consume_from:
            self._queues[name] = QueueFigures(name)
        while not self._stopping.is_set():
            with contextlib.suppress(UmbelError, OSError):  # the listener tells that the broker is away
                if time.monotonic() - self._asked_at >= _WORKERS_EVERY_S:
                    self._ask_workers()
            self._count()
            self.version += 1
            self._stopping.wait(_DEPTHS_EVERY_S)
        self._close()

    def stop(self) -> None:
        """Let :meth:`run` return. Any thread."""
        self._stopping.set()

    def ask_soon(self) -> None:
        """Ask the workers again with the next round: there are others now, or something has changed."""
        self._asked_at = float("-inf")

    def queues(self) -> Sequence[QueueFigures]:
        """Return the queues that are known, the fullest first."""
        return sorted(self._queues.values(), key=lambda queue: (-(queue.depth or 0), queue.name))

    def total_depths(self, length: int) -> list[int]:
        """Return how many messages waited in all queues at the last *length* times, the oldest first."""
        series = [[depth for _, depth in list(queue.depths)[-length:]] for queue in list(self._queues.values())]
        longest = max(map(len, series), default=0)
        padded = [[0] * (longest - len(one)) + one for one in series]
        totals = [sum(column) for column in zip(*padded, strict=True)]
        return [0] * (length - len(totals)) + totals

    def _ask_workers(self) -> None:
        self._asked_at = time.monotonic()
        inspect = self._app.control.inspect(timeout=_ANSWER_WITHIN_S)
        taking: dict[str, set[str]] = {}
        for node, queues in (inspect.active_queues() or {}).items():
            for queue in queues if isinstance(queues, list) else ():
                if isinstance(queue, Mapping) and isinstance(name := queue.get("name"), str):
                    taking.setdefault(name, set()).add(node)
        if self._stopping.is_set():
            return
        answers = inspect.stats() or {}
        self.stats = {node: said for node, said in answers.items() if isinstance(said, Mapping) and "error" not in said}
        for name in taking:
            if name not in self._queues and len(self._queues) < _MOST_QUEUES:
                self._queues[name] = QueueFigures(name)
        for name, figures in self._queues.items():
            figures.workers = frozenset(taking.get(name, ())) if taking else None

    def _count(self) -> None:
        names = list(self._queues)
        try:
            if self._transport is None:
                self._transport = self._app.open_transport()
            depths = self._transport.count(names)
        except (UmbelError, OSError):  # as above
            self._close()
            return
        now = time.time()
        for name, depth in zip(names, depths, strict=True):
            self._queues[name].depths.append((now, depth))

    def _close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            with contextlib.suppress(Exception):  # it may be lost already
                transport.close()
