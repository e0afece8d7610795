"""The worker steps of remote control."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from umbel.exceptions import ImproperlyConfigured
from umbel.spi import RevocationStore
from umbel.worker.control import orders, questions, tasks
from umbel.worker.control.sockets import ControlSocket
from umbel.worker.steps import Step

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["COMMAND_MODULES", "CONTROL_STEPS", "AutoscaleStep", "ControlStep", "LimitsStep", "SocketStep", "StateStep"]

logger = logging.getLogger("umbel.worker.control")

_SCALE_EVERY_S = 1.0
#: Whose import fills the panel.
COMMAND_MODULES = (orders, questions, tasks)


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
        if worker.options.mingle:
            worker.control.mingle()

    def stop(self, worker: Worker) -> None:
        worker.control.listener.stop()
        worker.control.join(2.0)

    def info(self, worker: Worker) -> Mapping[str, Any]:
        return {"connected": worker.control.listener.is_connected, "revoked": len(worker.control.revoked)}


class LimitsStep(Step):
    """Keeps the tasks' rate limits."""

    name = "limits"
    requires: ClassVar = ("outflow", "timers", "intake")

    def start(self, worker: Worker) -> None:
        try:
            worker.control.rates.read()
        except ValueError as error:
            raise ImproperlyConfigured(f"rate_limit of a task: {error}") from error


class StateStep(Step):
    """Keeps the state file of ``--statedb``."""

    name = "statedb"
    requires: ClassVar = ("timers",)

    def include_if(self, worker: Worker) -> bool:
        return worker.control.state_file is not None

    def start(self, worker: Worker) -> None:
        assert worker.control.state_file is not None
        worker.control.revoked.restore(worker.control.state_file.load())

    def stop(self, worker: Worker) -> None:
        assert worker.control.state_file is not None
        worker.control.state_file.save()


class AutoscaleStep(Step):
    """Grows and shrinks the pool, with ``--autoscale``."""

    name = "autoscaler"
    requires: ClassVar = ("pool", "timers", "intake")

    def include_if(self, worker: Worker) -> bool:
        return worker.control.autoscaler is not None

    def start(self, worker: Worker) -> None:
        assert worker.control.autoscaler is not None
        self._timer = worker.timers.call_every(_SCALE_EVERY_S, worker.control.autoscaler.scale)

    def stop(self, worker: Worker) -> None:
        self._timer.cancel()

    def info(self, worker: Worker) -> Mapping[str, Any]:
        return {} if worker.control.autoscaler is None else worker.control.autoscaler.info()


class SocketStep(Step):
    """Hears commands through the node's own socket, with any broker or none."""

    name = "socket"
    requires: ClassVar = ("outflow", "timers", "intake")

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._socket = ControlSocket(worker.app.broker_url, worker.node, worker.control.obey)

    def include_if(self, worker: Worker) -> bool:
        return bool(worker.app.conf.worker_enable_remote_control) and hasattr(socket, "AF_UNIX")

    def start(self, worker: Worker) -> None:
        self._socket.start()

    def stop(self, worker: Worker) -> None:
        self._socket.stop()

    def info(self, worker: Worker) -> Mapping[str, Any]:
        return {"path": self._socket.path}


CONTROL_STEPS: tuple[type[Step], ...] = (StateStep, ControlStep, SocketStep, LimitsStep, AutoscaleStep)
