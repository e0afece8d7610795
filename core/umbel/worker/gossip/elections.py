"""Elections: all workers are asked to do something, and the one that asked first, by the logical clock, does it.

As in Celery: each worker that was asked publishes ``worker-elect``, and each that hears one publishes
``worker-elect-ack``. Who has heard the acknowledgements of all decides, and comes to the same answer as the others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import attrs

from umbel.clock import LamportClock

__all__ = ["Elections"]

logger = logging.getLogger("umbel.worker.gossip")

#: After this time an election is decided with the answers that have come: a peer may run without gossip.
_PATIENCE_S: Final = 5.0
_MOST_AT_ONCE: Final = 1000


@attrs.define(eq=False)
class _Election:
    """One election: the requests heard, who has acknowledged, and whether this worker takes part."""

    began_at: float
    requests: list[tuple[int, str, str, Any]] = attrs.field(factory=list)
    acknowledged: list[str] = attrs.field(factory=list)
    is_ours: bool = False


class Elections:
    """Holds the elections that are under way. Used by the thread of gossip; :meth:`begin` by any.

    *me* is this worker as ``node.pid``; *send* publishes an event; *perform* is called with (topic, action) when this
    worker is the one.
    """

    def __init__(self, me: str, send: Callable[..., None], perform: Callable[[str, Any], None]) -> None:
        self._me = me
        self._send = send
        self._perform = perform
        self._elections: dict[str, _Election] = {}

    def begin(self, id: str, topic: str, action: Any = None) -> None:
        """Take part in the election *id*."""
        self._election(id).is_ours = True
        self._send("worker-elect", id=id, topic=topic, action=action, cver=1)

    def _election(self, id: str) -> _Election:
        found = self._elections.get(id)
        if found is None:
            while len(self._elections) >= _MOST_AT_ONCE:  # made up by somebody: forget the oldest
                self._elections.pop(next(iter(self._elections)), None)
            found = self._elections.setdefault(id, _Election(time.monotonic()))
        return found

    def requested(self, event: Mapping[str, Any]) -> None:
        """Hear ``worker-elect``, and acknowledge it."""
        try:
            id, clock, topic = str(event["id"]), int(event["clock"]), str(event["topic"])
            who = f"{event['hostname']}.{event['pid']}"
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("an election lacks what it needs: %r", error)
            return
        self._election(id).requests.append((clock, who, topic, event.get("action")))
        self._send("worker-elect-ack", id=id)

    def acknowledged(self, event: Mapping[str, Any], alive: Collection[str]) -> None:
        """Hear ``worker-elect-ack``; *alive* are the nodes of the other workers."""
        election = self._elections.get(str(event.get("id")))
        if election is None:
            return
        election.acknowledged.append(str(event.get("hostname")))
        if election.is_ours and len(set(election.acknowledged)) > len(alive):
            self._decide(str(event.get("id")))

    def look(self) -> None:
        """Decide what has waited long enough; forget what is none of ours."""
        now = time.monotonic()
        for id, election in list(self._elections.items()):
            if now - election.began_at > _PATIENCE_S:
                if election.is_ours and election.requests:
                    self._decide(id)
                else:
                    self._elections.pop(id, None)

    def _decide(self, id: str) -> None:
        election = self._elections.pop(id, None)
        if election is None or not election.requests:
            return
        _, leader, topic, action = LamportClock.sort_heap(election.requests)
        if leader != self._me:
            logger.info("node %s elected for %r", leader, id)
            return
        logger.info("I won the election %r", id)
        self._perform(topic, action)
