"""What is counted of tasks while somebody may ask: their ends by state, how long they ran and waited."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from umbel.states import FAILURE, IGNORED, REJECTED, RETRY, REVOKED, SUCCESS
from umbel.worker import frames
from umbel.worker.http.exposition import Histogram

if TYPE_CHECKING:
    from umbel.worker.held import Held
    from umbel.worker.reports import Told
    from umbel.worker.worker import Worker

__all__ = ["BOUNDS_S", "UNKNOWN", "Recorder"]

BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
#: Stands for the names of tasks that this worker does not know: anybody may make them up.
UNKNOWN: Final = "(unknown)"

_STATES: Final = {
    frames.SUCCEEDED: SUCCESS,
    frames.FAILED: FAILURE,
    frames.RETRIED: RETRY,
    frames.IGNORED: IGNORED,
    frames.REJECTED: REJECTED,
    frames.REQUEUED: REJECTED,
}
_EVENT_STATES: Final = {"task-failed": FAILURE, "task-revoked": REVOKED, "task-retried": RETRY}


class Recorder:
    """Hears of tasks from a worker's belts between :meth:`install` and :meth:`remove`."""

    def __init__(self, worker: Worker) -> None:
        self.ends: collections.Counter[tuple[str, str]] = collections.Counter()
        self.received: collections.Counter[str] = collections.Counter()
        self.runtimes: dict[str, Histogram] = {}
        self.waits: dict[str, Histogram] = {}
        self._worker = worker
        self._known = worker.app.tasks

    def install(self) -> None:
        """Begin to listen."""
        worker = self._worker
        worker.admission.on_received.append(self._received)
        worker.translator.observers.append(self._ended)
        worker.failures.observers.append(self._happened)
        worker.admission.want_reports(self, wanted=True)

    def remove(self) -> None:
        """Listen no more."""
        worker = self._worker
        worker.admission.want_reports(self, wanted=False)
        worker.admission.on_received.remove(self._received)
        worker.translator.observers.remove(self._ended)
        worker.failures.observers.remove(self._happened)

    def _name(self, held: Held) -> str:
        return held.name if held.name in self._known else UNKNOWN

    def _received(self, several: Sequence[Held], now: float) -> None:
        for held in several:
            self.received[self._name(held)] += 1

    def _ended(self, several: Sequence[Told]) -> None:
        for held, kind, report, _ in several:
            state = _STATES.get(kind)
            if state is None:
                continue  # parked: that is told by itself
            name = self._name(held)
            self.ends[name, state] += 1
            if report is None:
                continue
            self._histogram(self.runtimes, name).observe(report[0])
            if held.received_at:
                self._histogram(self.waits, name).observe(max(0.0, report[4] - held.received_at))

    def _happened(self, kind: str, held: Held, fields: Mapping[str, Any]) -> None:
        self.ends[self._name(held), _EVENT_STATES.get(kind, kind)] += 1

    @staticmethod
    def _histogram(table: dict[str, Histogram], name: str) -> Histogram:
        found = table.get(name)
        if found is None:
            found = table[name] = Histogram(BOUNDS_S)
        return found
