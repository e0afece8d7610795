"""Listening to the events of other workers: who is there, when it was heard last, and what time it has."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from umbel.events.receiver import EventReceiver
from umbel.exceptions import OperationalError
from umbel.worker.backoff import Backoff
from umbel.worker.gossip.elections import Elections

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Gossip"]

logger = logging.getLogger("umbel.worker.gossip")

#: A worker that is silent for so many of its intervals is held to be gone.
_MISSED: Final = 2.0
_LONGEST_INTERVAL_S: Final = 3600.0
_MOST_PEERS: Final = 5000
_MOST_TWINS: Final = 20
_LOOK_EVERY_S: Final = 1.0
#: As Celery's gossip: an event that has waited for longer is of no use.
_QUEUE_TTL_S: Final = 2.0


class Gossip:
    """Hears workers of the same application in a thread of its own. :meth:`peers` may be asked by any thread.

    *send* publishes an event. Before :meth:`start`, and where it is never called, there are no peers. *twin* is called
    once with an event of each other worker that has the same name and is not this *instance*, in the thread of gossip.
    """

    def __init__(
        self,
        app: Umbel,
        node: str,
        instance: str,
        send: Callable[..., None],
        *,
        twin: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._app = app
        self._node = node
        self._own = frozenset({instance, os.getpid()})
        self._twin = twin
        self._twins: set[Any] = set()
        #: Elections for actions of the topic ``task``: the winner sends the signature that is the action.
        self.elections = Elections(f"{node}.{os.getpid()}", send, self._perform)
        self.election = self.elections.begin
        #: Called with a node's name, in the thread of gossip.
        self.on_node_join: set[Callable[[str], None]] = set()
        self.on_node_leave: set[Callable[[str], None]] = set()
        self.on_node_lost: set[Callable[[str], None]] = set()
        #: Whether peers are heard now.
        self.is_listening = False
        self._heard: dict[str, tuple[float, float]] = {}  # node -> (when, its interval)
        self._backoff = Backoff(0.25, 10.0)
        self._receiver: EventReceiver | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def peers(self) -> Mapping[str, float]:
        """Return the other workers that are alive, each with the Unix time when it was last heard."""
        now = time.time()
        heard = list(self._heard.items())
        return {node: at for node, (at, interval_s) in heard if now - at <= interval_s * _MISSED}

    def start(self) -> None:
        """Start the thread, which connects."""
        self._thread = threading.Thread(target=self._run, name="umbel-gossip", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. May be called twice."""
        self._ending.set()
        receiver = self._receiver
        if receiver is not None:
            receiver.stop()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(10.0)

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        is_lost = False
        while not self._ending.is_set():
            receiver = self._receiver = EventReceiver(
                None, {"*": self._hear}, routing_key="worker.#", app=self._app, queue_ttl=_QUEUE_TTL_S
            )
            try:
                with receiver:
                    is_lost, self.is_listening = False, True
                    while not self._ending.is_set():
                        receiver.drain(_LOOK_EVERY_S)
                        self._backoff.reset()
                        self._look()
            except (OperationalError, OSError) as error:
                self.is_listening = False
                if not is_lost:
                    logger.warning("the other workers cannot be heard, trying again: %s", error)
                is_lost = True
                self._ending.wait(self._backoff.next_s())
            except Exception:
                logger.critical("gossip failed; the other workers are heard no more", exc_info=True)
                return

    def _hear(self, event: dict[str, Any]) -> None:
        kind, node = event["type"], event.get("hostname")
        if not node or not kind.startswith("worker-"):
            return
        if kind == "worker-elect":
            self.elections.requested(event)
        elif kind == "worker-elect-ack":
            self.elections.acknowledged(event, self.peers())
        if node == self._node:
            self._hear_own_name(kind, event)
            return
        if kind == "worker-offline":
            if self._heard.pop(node, None) is not None:
                self._tell(self.on_node_leave, node)
            return
        interval_s = event.get("freq")
        known = self._heard.get(node)
        if not isinstance(interval_s, int | float) or not 0 < interval_s <= _LONGEST_INTERVAL_S:
            interval_s = known[1] if known else 2.0
        if known is None and len(self._heard) >= _MOST_PEERS:
            return
        self._heard[node] = (time.time(), float(interval_s))
        if known is None:
            self._tell(self.on_node_join, node)

    def _hear_own_name(self, kind: str, event: Mapping[str, Any]) -> None:
        """Notice that it is somebody else who speaks in this name. Celery's workers have a process id alone."""
        if kind not in ("worker-online", "worker-heartbeat"):
            return
        who = event.get("instance") or event.get("pid")
        if not isinstance(who, str | int) or who in self._own | self._twins or len(self._twins) >= _MOST_TWINS:
            return
        self._twins.add(who)
        self._twin(event)

    def _look(self) -> None:
        self.elections.look()
        now = time.time()
        for node, (at, interval_s) in list(self._heard.items()):
            if now - at > interval_s * _MISSED:
                self._heard.pop(node, None)
                logger.info("missed heartbeat from %s", node)
                self._tell(self.on_node_lost, node)

    def _tell(self, handlers: set[Callable[[str], None]], node: str) -> None:
        for handler in list(handlers):
            try:
                handler(node)
            except Exception:
                logger.exception("a handler of gossip raised; the others are called all the same")

    def _perform(self, topic: str, action: Any) -> None:
        if topic != "task":
            logger.error("unknown topic of an election: expected task, got %r", topic)
            return
        try:
            self._app.signature(action).apply_async()
        except Exception:
            logger.exception("the task of an election could not be called")
