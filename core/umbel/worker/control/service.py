"""Remote control of one worker: what its parts are, and who is asked when a command comes."""

from __future__ import annotations

import collections
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel.control.revoking import by_ids
from umbel.protocol.control import ControlRequest
from umbel.protocol.reprs import saferepr
from umbel.spi import Revocation, Transport
from umbel.worker.control.autoscaler import Autoscaler
from umbel.worker.control.figures import memory_bytes
from umbel.worker.control.listener import Listener
from umbel.worker.control.panel import ControlState, panel
from umbel.worker.control.rates import RateLimits
from umbel.worker.control.revoked import Revoked
from umbel.worker.control.state_file import StateFile
from umbel.worker.naming import expand

if TYPE_CHECKING:
    from umbel.worker.events.steps import EventsStep
    from umbel.worker.worker import Worker

__all__ = ["ControlService"]

logger = logging.getLogger("umbel.worker.control")

#: Heartbeats come every two seconds: who has listened for longer has heard everybody.
_KNOWS_ALL_AFTER_S = 2.5
_GREETING_S = 1.0


def _ids(value: Any) -> list[str]:
    """Return the ids in what another worker says is revoked: a list, or Celery's table of ids."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | dict) else []


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
            worker.instance,
            lambda request: self.obey(request.method, request.arguments, request),
            connected=self._connected,
            obeyed=self.revoked.write,
            look=self.look,
            peers=self.peers,
        )
        self.rates = RateLimits(worker.app, worker.admission, worker.failures)
        self.autoscaler: Autoscaler | None = None
        if worker.options.autoscale is not None:
            self.autoscaler = Autoscaler(worker, *worker.options.autoscale)
        path = worker.app.conf.worker_state_db
        self.state_file = (
            None if not path else StateFile(expand(path, worker.node), self.revoked.kept, worker.timers.call_after)
        )
        #: What ``memsample`` has seen, in bytes.
        self.memory_samples: collections.deque[int] = collections.deque(maxlen=1000)
        self._listening_since: float | None = None
        self._mingling: threading.Thread | None = None

    @property
    def events(self) -> EventsStep | None:
        """The worker's events, ``None`` where it has none."""
        return self._worker.events if self._worker.broadcasts else None

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
        self.revoked.exchange(transport)

    def peers(self) -> list[str] | None:
        """Return the nodes that live, as far as this one knows; ``None`` as long as it may not know all."""
        gossip = self._worker.gossip
        if not gossip.is_listening:
            self._listening_since = None
            return None
        now = time.monotonic()
        if self._listening_since is None:
            self._listening_since = now
        if now - self._listening_since < _KNOWS_ALL_AFTER_S:
            return None
        return [self._worker.node, *gossip.peers()]

    def look(self, transport: Transport) -> None:
        """Do what is to be done every second, in the listener's thread."""
        self.peers()  # begins to count the time for which the others are heard
        self.revoked.exchange(transport)

    def mingle(self) -> None:
        """Learn from the workers that are there already what is revoked, beside everything else."""
        self._mingling = threading.Thread(target=self._greet, name="umbel-mingle", daemon=True)
        self._mingling.start()

    def _greet(self) -> None:
        app, node = self._worker.app, self._worker.node
        if not self.listener.wait_until_heard(_GREETING_S):
            return
        request = ControlRequest(method="hello", arguments={"from_node": node, "revoked": self.revoked.ids()})
        try:
            replies = app.control.mailbox.call(request, _GREETING_S, abandoned=self.listener.is_stopping)
        except Exception as error:  # a worker that cannot be greeted is no reason not to work
            logger.debug("the other workers could not be greeted: %r", error)
            return
        for reply in replies:
            for name, answer in reply.items():
                if name != node and isinstance(answer, dict):
                    self.merge(_ids(answer.get("revoked")))
                    app.clock.adjust(answer.get("clock"))

    def join(self, timeout_s: float) -> None:
        """Wait for what is under way to end."""
        mingling, self._mingling = self._mingling, None
        if mingling is not None:
            mingling.join(timeout_s)

    # -- what commands ask for ----------------------------------------------------------------------------------------

    def with_transport(self, action: Callable[[Transport], Any]) -> Any:
        """Run *action* with a connection of the pool; any thread. Raises ``OperationalError``."""
        pool = self._worker.app.connections.transports
        transport = pool.acquire(time.monotonic() + float(self._worker.app.conf.broker_connection_timeout))
        try:
            done = action(transport)
        except BaseException:
            pool.discard(transport)
            raise
        pool.release(transport)
        return done

    def sample_memory(self) -> int:
        """Take a sample of the memory and return it, in bytes."""
        count = memory_bytes()
        self.memory_samples.append(count)
        return count

    def send_heartbeat(self) -> None:
        """Have the events step tell now that this worker lives."""
        events = self.events
        if events is not None:
            events.send_heartbeat()

    def hold_election(self, id: str, topic: str, action: Any) -> None:
        """Take part in an election, where others are heard."""
        if self._worker.gossip.is_listening:
            self._worker.gossip.election(id, topic, action)

    def heard_of_twin(self, event: Mapping[str, Any]) -> None:
        """Warn of another worker of this name, wherever it is, and hear commands apart from it. Any thread."""
        worker = self._worker
        if self.listener.has_own_queue:
            return  # warned of before
        logger.warning(
            "another worker named %s is at this broker (process %s, %s %s); they are told apart by their processes "
            "alone: give each a name of its own (-n NAME@%%h)",
            worker.node,
            saferepr(event.get("pid"), 20),
            saferepr(event.get("sw_ident"), 40),
            saferepr(event.get("sw_ver"), 20),
        )
        self.listener.take_own_queue()

    # -- revocation of what is held -----------------------------------------------------------------------------------

    def _apply(self, new: Sequence[Revocation]) -> None:
        """Take revoked tasks out of what is held and has not started [B1021]."""
        worker = self._worker
        if self.state_file is not None:
            self.state_file.changed()
        for held in worker.admission.withdraw(self.revoked.includes):
            worker.outflow.put(worker.failures.revoked(held, "revoked"))
        wanted = [job_id for job_id, held in worker.jobs.items() if self.revoked.includes(held)]
        if wanted:
            for held in worker.jobs.take(worker.pool.withdraw(wanted)):
                if self.revoked.includes(held):
                    worker.outflow.put(worker.failures.revoked(held, "revoked"))
                else:  # it was to run together with one that is
                    worker.outflow.put(worker.failures.back_uncounted(held))
            worker.intake.notice_room()

    def merge(self, ids: Iterable[str]) -> None:
        """Take in what another worker knows to be revoked."""
        self.revoked.add(by_ids(ids))
