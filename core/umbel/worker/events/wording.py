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
        #: Whether all of them hold nothing but what JSON knows.
        self.is_plain = True
        self._hostname = hostname
        self._clock = clock
        self._time = 0
        self._pid = os.getpid()
        self._utcoffset = utcoffset()

    def begin(self, most: int) -> None:
        """Start a new batch of at most *most* events: so many steps of the logical clock are taken at once."""
        self.events = []
        self.is_plain = True
        self._utcoffset = utcoffset()
        self._time = self._clock.forward(most) - most if most else self._clock.value

    def _start(self, kind: str, timestamp: float) -> dict[str, Any]:
        """Add an event of type *kind*, and return it to be filled."""
        self._time += 1
        event = {
            "type": kind,
            "hostname": self._hostname,
            "utcoffset": self._utcoffset,
            "pid": self._pid,
            "clock": self._time,
            "timestamp": timestamp,
        }
        self.events.append(event)
        return event

    def received(self, timestamp: float, held: Held) -> None:
        """A task came in."""
        event, headers = self._start("task-received", timestamp), held.headers
        event["uuid"] = held.task_id
        event["name"] = headers["shadow"] or held.name
        event["args"] = headers["argsrepr"]
        event["kwargs"] = headers["kwargsrepr"]
        event["root_id"] = headers["root_id"]
        event["parent_id"] = headers["parent_id"]
        event["retries"] = headers["retries"]
        event["eta"] = headers["eta"]
        event["expires"] = headers["expires"]

    def running(self, held: Held, job: RunningJob) -> None:
        """A task is still running; it began at the time that *job* has."""
        if not held.told_started:
            self._started(held, job.started_at, job.pid)

    def _started(self, held: Held, started_at: float, pid: int) -> None:
        held.told_started = True
        event = self._start("task-started", started_at)
        event["uuid"] = held.task_id
        event["pid"] = pid

    def ended(self, timestamp: float, held: Held, outcome: frames.Outcome) -> None:
        """A task came to the end that its pool process reports."""
        runtime_s, text, traceback, pid, started_at = outcome.report or (0.0, "", None, self._pid, timestamp)
        if not held.told_started:
            self._started(held, started_at, pid)
        kind = _ENDS.get(outcome.kind)
        if kind is None:
            return  # ignored by itself; or parked, which is told where it is done
        event = self._start(kind, started_at + runtime_s)
        event["uuid"] = held.task_id
        if outcome.kind == frames.SUCCEEDED:
            event["result"] = text
            event["runtime"] = runtime_s
        elif kind == "task-rejected":
            event["requeue"] = outcome.kind == frames.REQUEUED
        else:
            event["exception"] = text
            event["traceback"] = traceback

    def happened(self, timestamp: float, kind: str, held: Held, fields: Mapping[str, Any]) -> None:
        """A task came to an end that the worker itself gave to it."""
        event = self._start(kind, timestamp)
        event["uuid"] = held.task_id
        event.update(fields)

    def sent(self, timestamp: float, publication: Publication) -> None:
        """The worker has sent a task: a retry, a chain's next step."""
        queue = publication.queue
        name = publication.routing_key if queue is None else queue.name
        fields = sent_fields(publication.message.headers, name, publication.exchange, publication.routing_key)
        self._start("task-sent", timestamp).update(fields)

    def said(self, timestamp: float, kind: str, fields: Mapping[str, Any]) -> None:
        """Somebody asked for an event."""
        self.is_plain = False
        self._start(kind, timestamp).update({name: value for name, value in fields.items() if name != "type"})
