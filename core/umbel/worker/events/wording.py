"""What happened to tasks, put into events. Used by the thread of the belt alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from umbel.protocol.events import sent_fields, utcoffset
from umbel.worker import frames

if TYPE_CHECKING:
    from umbel.clock import LamportClock
    from umbel.model import Publication
    from umbel.spi import RunningJob
    from umbel.worker.held import Held

__all__ = ["Wording"]

_ENDS: Final = {
    frames.SUCCEEDED: "task-succeeded",
    frames.FAILED: "task-failed",
    frames.RETRIED: "task-retried",
    frames.REJECTED: "task-rejected",
    frames.REQUEUED: "task-rejected",
}


class Wording:
    """Collects events of the node *hostname* in :attr:`events`, in the order in which it is told what happened."""

    def __init__(self, hostname: str, clock: LamportClock) -> None:
        self.events: list[dict[str, Any]] = []
        self._hostname = hostname
        self._clock = clock
        self._pid = os.getpid()
        self._utcoffset = utcoffset()

    def begin(self) -> None:
        """Start a new batch."""
        self.events = []
        self._utcoffset = utcoffset()

    def add(self, kind: str, timestamp: float, fields: Mapping[str, Any]) -> None:
        """Add an event of type *kind*; *fields* stand over what every event has."""
        self.events.append(
            {
                "hostname": self._hostname,
                "utcoffset": self._utcoffset,
                "pid": self._pid,
                "clock": self._clock.forward(),
                "timestamp": timestamp,
                **fields,
                "type": kind,
            }
        )

    def received(self, timestamp: float, held: Held) -> None:
        """A task came in."""
        headers = held.headers
        self.add(
            "task-received",
            timestamp,
            {
                "uuid": held.task_id,
                "name": headers["shadow"] or held.name,
                "args": headers["argsrepr"],
                "kwargs": headers["kwargsrepr"],
                "root_id": headers["root_id"],
                "parent_id": headers["parent_id"],
                "retries": headers["retries"],
                "eta": headers["eta"],
                "expires": headers["expires"],
            },
        )

    def running(self, held: Held, job: RunningJob) -> None:
        """A task is still running; it began at the time that *job* has."""
        if not held.told_started:
            held.told_started = True
            self.add("task-started", job.started_at, {"uuid": held.task_id, "pid": job.pid})

    def ended(self, timestamp: float, held: Held, outcome: frames.Outcome) -> None:
        """A task came to the end that its pool process reports."""
        runtime_s, text, traceback, pid, started_at = outcome.report or (0.0, "", None, self._pid, timestamp)
        uuid = held.task_id
        if not held.told_started:
            held.told_started = True
            self.add("task-started", started_at, {"uuid": uuid, "pid": pid})
        kind = _ENDS.get(outcome.kind)
        if kind is None:
            return  # ignored by itself; or parked, which is told where it is done
        fields: dict[str, Any]
        if outcome.kind == frames.SUCCEEDED:
            fields = {"uuid": uuid, "result": text, "runtime": runtime_s}
        elif kind == "task-rejected":
            fields = {"uuid": uuid, "requeue": outcome.kind == frames.REQUEUED}
        else:
            fields = {"uuid": uuid, "exception": text, "traceback": traceback}
        self.add(kind, started_at + runtime_s, fields)

    def happened(self, timestamp: float, kind: str, held: Held, fields: Mapping[str, Any]) -> None:
        """A task came to an end that the worker itself gave to it."""
        self.add(kind, timestamp, {"uuid": held.task_id, **fields})

    def sent(self, timestamp: float, publication: Publication) -> None:
        """The worker has sent a task: a retry, a chain's next step."""
        queue = publication.queue
        name = publication.routing_key if queue is None else queue.name
        fields = sent_fields(publication.message.headers, name, publication.exchange, publication.routing_key)
        self.add("task-sent", timestamp, fields)

    def said(self, timestamp: float, kind: str, fields: Mapping[str, Any]) -> None:
        """Somebody asked for an event."""
        self.add(kind, timestamp, fields)
