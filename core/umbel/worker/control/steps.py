"""The worker steps of remote control."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from umbel.spi import RevocationStore
from umbel.worker.control import questions, tasks
from umbel.worker.steps import Step

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["COMMAND_MODULES", "CONTROL_STEPS", "ControlStep"]

logger = logging.getLogger("umbel.worker.control")

#: Whose import fills the panel.
COMMAND_MODULES = (questions, tasks)


class ControlStep(Step):
    """Hears commands from the broker; left out where the broker cannot carry them."""

    name = "control"
    requires: ClassVar = ("outflow", "timers")

    def include_if(self, worker: Worker) -> bool:
        app = worker.app
        if not app.conf.worker_enable_remote_control:
            return False
        transport = app.host.transport(app, app.connections.broker_read_urls[0])
        capabilities = transport.capabilities
        if not (capabilities.fanout and "fanout" in capabilities.exchange_kinds):
            logger.info("no remote control through the broker: %s has no fan-out", type(transport).__name__)
            return False
        if isinstance(transport, RevocationStore):
            worker.control.revoked.expect_store()
        return True

    def start(self, worker: Worker) -> None:
        if not worker.presence.is_alone:
            worker.control.listener.take_own_queue()
        worker.control.listener.start()

    def stop(self, worker: Worker) -> None:
        worker.control.listener.stop()

    def info(self, worker: Worker) -> Mapping[str, Any]:
        return {"connected": worker.control.listener.is_connected, "revoked": len(worker.control.revoked)}


CONTROL_STEPS: tuple[type[Step], ...] = (ControlStep,)
