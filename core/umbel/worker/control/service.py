"""Remote control of one worker: what its parts are, and who is asked when a command comes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel.control.revoking import by_ids
from umbel.protocol.control import ControlRequest
from umbel.spi import Revocation, Transport
from umbel.worker.control.listener import Listener
from umbel.worker.control.panel import ControlState, panel
from umbel.worker.control.revoked import Revoked
from umbel.worker.held import Held

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["ControlService"]

logger = logging.getLogger("umbel.worker.control")


class ControlService:
    """Obeys the commands that a worker gets, one at a time, whichever way they come. Any thread may use it."""

    def __init__(self, worker: Worker) -> None:
        self.revoked = Revoked(worker.admission, worker.failures, worker.app.conf.control_revoked_expires)
        self.revoked.on_new = self._apply
        self._worker = worker
        self._one_at_a_time = threading.RLock()
        self.listener = Listener(
            worker.app,
            worker.node,
            lambda request: self.obey(request.method, request.arguments, request),
            connected=self._connected,
            look=self.revoked.exchange,
            peers=self._peers,
        )
        self._heard_at: float | None = None

    def obey(self, method: str, arguments: Mapping[str, Any], request: ControlRequest | None = None) -> Any:
        """Return the answer of a command; never raises for what it was asked."""
        with self._one_at_a_time:
            try:
                return panel.dispatch(ControlState(self._worker, request), method, arguments)
            except SystemExit:
                self._worker.shut_down()
                return None

    # -- the listener's thread ----------------------------------------------------------------------------------------

    def _connected(self, transport: Transport) -> None:
        self._heard_at = time.monotonic()
        self.revoked.exchange(transport)

    def _peers(self) -> list[str] | None:
        """Return the nodes that live, as far as this one knows; ``None`` as long as it may not know all."""
        return None

    # -- revocation of what is held -----------------------------------------------------------------------------------

    def _apply(self, new: Sequence[Revocation]) -> None:
        """Take revoked tasks out of what is held and has not started [B1021]."""
        worker = self._worker
        for held in worker.admission.withdraw(self.revoked.includes):
            worker.outflow.put(worker.failures.revoked(held, "revoked"))
        wanted = [job_id for job_id, held in worker.jobs.items() if self.revoked.includes(held)]
        if wanted:
            for held in worker.jobs.take(worker.pool.withdraw(wanted)):
                worker.outflow.put(worker.failures.revoked(held, "revoked"))
            worker.intake.notice_room()

    def find(self, ids: Sequence[str]) -> list[tuple[int, Held]]:
        """Return the jobs of these task ids."""
        wanted = set(ids)
        return [(job_id, held) for job_id, held in self._worker.jobs.items() if held.task_id in wanted]

    def merge(self, ids: Sequence[str]) -> None:
        """Take in what another worker knows to be revoked."""
        self.revoked.add(by_ids(ids))
