"""What happened to tasks, put into events. Used by the thread of the belt alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from umbel.protocol.events import MULTI_KEY, group_from, routing_key, sent_fields, utcoffset
from umbel.worker import frames

if TYPE_CHECKING:
    from umbel.clock import LamportClock
    from umbel.model import Publication
    from umbel.spi import RunningJob
    from umbel.worker.held import Held
    from umbel.worker.reports import Told

__all__ = ["Wording"]

logger = logging.getLogger("umbel.worker.events")

#: One thing may be told in so many events: a task's end with its coming in and its start, if nobody has told them.
_MOST_EVENTS_EACH: Final = 3
#: Events in one message, which brokers and listeners are to take at once.
_MOST_TOGETHER: Final = 1500

_ENDS: Final = {
    frames.FAILED: "task-failed",
    frames.RETRIED: "task-retried",
    frames.REJECTED: "task-rejected",
    frames.REQUEUED: "task-rejected",
}


class Wording:
    """Collects events of the node *hostname* in :attr:`batches`, in the order in which it is told what happened.

    A batch is [routing key, one event or a list of them, whether nothing is in it but what JSON knows].
    """

    def __init__(self, hostname: str, clock: LamportClock) -> None:
        self.batches: list[list[Any]] = []
        self._hostname = hostname
        self._clock = clock
        self._time = 0
        self._pid = os.getpid()
        self._utcoffset = utcoffset()

    def begin(self, things: int) -> None:
        """Start a new round, in which no more than so many *things* are told: their logical times are taken at once."""
        steps = things * _MOST_EVENTS_EACH
        self.batches = []
        self._utcoffset = utcoffset()
        self._time = self._clock.forward(steps) - steps if steps else self._clock.value

    def events(self) -> Iterator[dict[str, Any]]:
        """Give the events one by one."""
        for _, what, _ in self.batches:
            yield from what if type(what) is list else [what]

    def _events(self) -> list[dict[str, Any]]:
        """Return the list that the next event of a task goes into."""
        batches = self.batches
        if batches and batches[-1][0] == MULTI_KEY and len(batches[-1][1]) < _MOST_TOGETHER:
            found: list[dict[str, Any]] = batches[-1][1]
            return found
        events: list[dict[str, Any]] = []
        batches.append([MULTI_KEY, events, True])
        return events

    def _start(self, kind: str, timestamp: float) -> dict[str, Any]:
        """Return what each event of type *kind* has."""
        self._time += 1
        return {
            "type": kind,
            "hostname": self._hostname,
            "utcoffset": self._utcoffset,
            "pid": self._pid,
            "clock": self._time,
            "timestamp": timestamp,
        }

    def received(self, timestamp: float, several: Sequence[Held]) -> None:
        """Tasks came in."""
        events = self._events()
        for held in several:
            try:
                if not held.told_received:
                    self._received(events, timestamp, held)
            except Exception as error:
                self._missed(error)

    def _missed(self, error: Exception) -> None:
        """Say that one thing is not told: somebody has made headers of his own kind."""
        logger.warning("something could not be put into an event", exc_info=error)

    def _received(self, events: list[dict[str, Any]], timestamp: float, held: Held) -> None:
        """One display for all fields: this is done for every task, and its cost is most of what telling costs."""
        held.told_received = True
        headers = held.delivery.message.headers
        self._time += 1
        events.append(
            {
                "type": "task-received",
                "hostname": self._hostname,
                "utcoffset": self._utcoffset,
                "pid": self._pid,
                "clock": self._time,
                "timestamp": timestamp,
                "uuid": held.task_id,
                "name": headers["shadow"] or held.name,
                "args": headers["argsrepr"],
                "kwargs": headers["kwargsrepr"],
                "root_id": headers["root_id"],
                "parent_id": headers["parent_id"],
                "retries": headers["retries"],
                "eta": headers["eta"],
                "expires": headers["expires"],
            }
        )

    def running(self, held: Held, job: RunningJob) -> None:
        """A task is still running; it began at the time that *job* has."""
        if not held.told_started:
            self._started(self._events(), held, job.started_at, job.pid)

    def _started(self, events: list[dict[str, Any]], held: Held, started_at: float, pid: int) -> None:
        if held.received_at and not held.told_received:
            self._received(events, held.received_at, held)
        held.told_started = True
        self._time += 1
        events.append(
            {
                "type": "task-started",
                "hostname": self._hostname,
                "utcoffset": self._utcoffset,
                "pid": pid,
                "clock": self._time,
                "timestamp": started_at,
                "uuid": held.task_id,
            }
        )

    def ended(self, timestamp: float, several: Sequence[Told]) -> None:
        """Tasks came to the ends that their pool processes report."""
        for told in several:
            try:
                self._ended(self._events(), timestamp, told)
            except Exception as error:
                self._missed(error)

    def _ended(self, events: list[dict[str, Any]], timestamp: float, told: Told) -> None:
        held, kind, report, _ = told
        runtime_s, text, traceback, pid, started_at = report or (0.0, "", None, self._pid, timestamp)
        if not held.told_started:
            self._started(events, held, started_at, pid)
        if kind == frames.SUCCEEDED:
            self._time += 1
            events.append(
                {
                    "type": "task-succeeded",
                    "hostname": self._hostname,
                    "utcoffset": self._utcoffset,
                    "pid": self._pid,
                    "clock": self._time,
                    "timestamp": started_at + runtime_s,
                    "uuid": held.task_id,
                    "result": text,
                    "runtime": runtime_s,
                }
            )
        elif kind in _ENDS:  # else: ignored by itself; or parked, which is told where it is done
            event = self._start(_ENDS[kind], started_at + runtime_s)
            event["uuid"] = held.task_id
            if kind in (frames.REJECTED, frames.REQUEUED):
                event["requeue"] = kind == frames.REQUEUED
            else:
                event["exception"] = text
                event["traceback"] = traceback
            events.append(event)

    def happened(self, timestamp: float, several: Sequence[tuple[str, Held, Mapping[str, Any]]]) -> None:
        """Tasks came to ends that the worker itself gave to them."""
        events = self._events()
        for kind, held, fields in several:
            try:
                if held.received_at and not held.told_received:
                    self._received(events, held.received_at, held)
                events.append({**self._start(kind, timestamp), "uuid": held.task_id, **fields})
            except Exception as error:
                self._missed(error)

    def sent(self, timestamp: float, several: Sequence[Publication]) -> None:
        """The worker has sent tasks: a retry, a chain's next step."""
        events = self._events()
        for publication in several:
            queue = publication.queue
            name = publication.routing_key if queue is None else queue.name
            try:
                fields = sent_fields(publication.message.headers, name, publication.exchange, publication.routing_key)
                events.append({**self._start("task-sent", timestamp), **fields})
            except Exception as error:
                self._missed(error)

    def said(self, timestamp: float, several: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Somebody asked for events."""
        for kind, fields in several:
            event = {**self._start(kind, timestamp), **fields, "type": kind}
            if group_from(kind) == "task":
                self._events().append(event)
                self.batches[-1][2] = False
            else:
                self.batches.append([routing_key(kind), event, False])
