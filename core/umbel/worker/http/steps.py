"""The worker's step that answers HTTP, where it was asked for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

from umbel.worker.http.exposition import CONTENT_TYPE
from umbel.worker.http.metrics import render
from umbel.worker.http.readiness import what_is_wrong
from umbel.worker.http.recorder import Recorder
from umbel.worker.http.server import Answer, NodeServer
from umbel.worker.steps import Step

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["HttpStep"]

logger = logging.getLogger("umbel.worker.http")

_TEXT: Final = "text/plain; charset=utf-8"


class HttpStep(Step):
    """``/live``, ``/ready`` and ``/metrics``. Left out, at no cost, unless ``worker_http`` says where to listen."""

    name = "http"
    requires: ClassVar = ("outflow", "timers")

    def include_if(self, worker: Worker) -> bool:
        return bool(worker.app.conf.worker_http)

    def create(self, worker: Worker) -> None:
        self._recorder = Recorder(worker)
        self._server = NodeServer(
            str(worker.app.conf.worker_http), {"/live": self._live, "/ready": self._ready, "/metrics": self._metrics}
        )

    def start(self, worker: Worker) -> None:
        self._server.start()
        self._recorder.install()
        logger.info("the HTTP endpoint listens on port %d", self._server.port)

    def stop(self, worker: Worker) -> None:
        self._server.stop()
        self._recorder.remove()

    def info(self, worker: Worker) -> Mapping[str, Any]:
        return {"port": self._server.port}

    @property
    def port(self) -> int:
        """The port that is listened on; chosen by the system where 0 was asked for."""
        return self._server.port

    # -- pages, on threads of the server ------------------------------------------------------------------------------

    def _live(self) -> Answer:
        return HTTPStatus.OK, _TEXT, "alive\n"

    def _ready(self) -> Answer:
        reasons = what_is_wrong(self.worker)
        if reasons:
            return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, "".join(f"{reason}\n" for reason in reasons)
        return HTTPStatus.OK, _TEXT, "ready\n"

    def _metrics(self) -> Answer:
        return HTTPStatus.OK, CONTENT_TYPE, render(self.worker, self._recorder)
