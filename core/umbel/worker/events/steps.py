"""The worker's steps that tell others of it, and hear of others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from umbel.worker.events.belt import EventBelt
from umbel.worker.events.heart import heartbeat
from umbel.worker.gossip import Gossip
from umbel.worker.steps import Step

if TYPE_CHECKING:
    from umbel.worker.events.wording import Wording
    from umbel.worker.held import Held
    from umbel.worker.reports import Told
    from umbel.worker.worker import Worker

__all__ = ["EventsStep", "GossipStep"]

logger = logging.getLogger("umbel.worker.events")


class EventsStep(Step):
    """Events: heartbeats always, those of tasks while they are wanted. It is ``worker.events``."""

    name = "events"
    requires: ClassVar = ("outflow",)

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        options = worker.options
        beats = options.heartbeat_interval_s
        self._belt = EventBelt(
            worker.app,
            worker.node,
            beat=None if beats is None else lambda: heartbeat(worker, beats),
            interval_s=beats or 2.0,
            look=self._look,
        )
        self._switching = threading.Lock()
        self._sends_sent = bool(worker.app.conf.task_send_sent_event)
        self.is_enabled = False
        worker.events = self

    def include_if(self, worker: Worker) -> bool:
        """Without broadcasts there is nobody to tell."""
        return worker.broadcasts

    def start(self, worker: Worker) -> None:
        self._belt.start()
        if worker.options.task_events:
            self.enable_events()

    def stop(self, worker: Worker) -> None:
        self.disable_events()
        self._belt.stop()

    def info(self, worker: Worker) -> Mapping[str, Any]:
        return {"tasks": self.is_enabled, "dropped": self._belt.dropped}

    @property
    def dropped(self) -> int:
        """How many events were never sent, since the broker did not take them in time."""
        return self._belt.dropped

    # -- any thread ---------------------------------------------------------------------------------------------------

    def send(self, kind: str, **fields: Any) -> None:
        """Publish an event of type *kind*, soon. Never blocks."""
        self._belt.send(kind, **fields)

    def send_heartbeat(self) -> None:
        """Tell soon that this worker lives, without waiting for the next heartbeat's time."""
        self._belt.beat_now()

    def enable_events(self) -> bool:
        """Tell of tasks from now on; say whether that is new. Nothing happens where nobody can be told."""
        with self._switching:
            if self.is_enabled or not self.worker.broadcasts:
                return False
            worker = self.worker
            worker.failures.observers.append(self._happened)
            worker.admission.on_received.append(self._received)
            worker.translator.observers.append(self._ended)
            worker.admission.want_reports(self, wanted=True)
            self._belt.is_looking = self.is_enabled = True
            return True

    def disable_events(self) -> bool:
        """Tell of tasks no more; say whether that is new. Heartbeats go on."""
        with self._switching:
            if not self.is_enabled:
                return False
            worker = self.worker
            self._belt.is_looking = self.is_enabled = False
            worker.admission.want_reports(self, wanted=False)
            worker.admission.on_received.remove(self._received)
            worker.translator.observers.remove(self._ended)
            worker.failures.observers.remove(self._happened)
            return True

    # -- what is told, on the threads of intake, outflow and timers -----------------------------------------------------

    def _received(self, several: Sequence[Held], now: float) -> None:
        self._belt.put(self._belt.wording.received, now, several)

    def _ended(self, several: Sequence[Told]) -> None:
        now = time.time()
        self._belt.put(self._belt.wording.ended, now, several)
        if self._sends_sent:
            sent = [publication for told in several for publication in told[3]]
            if sent:
                self._belt.put(self._belt.wording.sent, now, sent)

    def _happened(self, kind: str, held: Held, fields: Mapping[str, Any]) -> None:
        self._belt.put(self._belt.wording.happened, time.time(), [(kind, held, fields)])

    def _look(self) -> Callable[[Wording], None]:
        """See what runs, to tell of what began and has not ended yet. In the belt's thread.

        A job is taken out of the table before its end is put on the belt: one that is in it has no end there.
        """
        worker = self.worker
        jobs = worker.pool.running() if worker.jobs.size() else ()

        def tell(wording: Wording) -> None:
            for job in jobs:
                held = worker.jobs.get(job.job_id)
                if held is not None:
                    wording.running(held, job)

        return tell


class GossipStep(Step):
    """Hears of the other workers. It is ``worker.gossip``, which is there, and empty, also where this takes no part."""

    name = "gossip"
    requires: ClassVar = ("events",)

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        worker.gossip = self._gossip = Gossip(
            worker.app,
            worker.node,
            worker.instance,
            lambda kind, **fields: self._send(kind, fields),
            twin=worker.control.heard_of_twin,
        )

    def include_if(self, worker: Worker) -> bool:
        """Without broadcasts nobody is heard."""
        return worker.broadcasts and worker.options.gossip

    def start(self, worker: Worker) -> None:
        self._gossip.start()

    def stop(self, worker: Worker) -> None:
        self._gossip.stop()

    def info(self, worker: Worker) -> Mapping[str, Any]:
        return {"peers": sorted(self._gossip.peers())}

    def _send(self, kind: str, fields: Mapping[str, Any]) -> None:
        self.worker.events.send(kind, **fields)
