"""Publishing without waiting for each confirmation: a bounded window of what the broker has not confirmed yet.

One outbox serves all callers of a process. What it has taken it keeps until the broker has confirmed it, and sends it
again when the broker refuses it or the connection is lost, so that it is lost with the process alone.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from amqp.exceptions import NotFound, PreconditionFailed

from umbel.exceptions import OperationalError, TransportError
from umbel.model import Publication
from umbel_transport_amqp.publishing import BLOCKED, Publisher
from umbel_transport_amqp.settings import AmqpSettings
from umbel_transport_amqp.topology import Topology
from umbel_transport_amqp.wire import FAILURES, Wire

__all__ = ["Outbox", "outbox_of"]

logger = logging.getLogger("umbel.transport.amqp")

#: How often the keeper looks for confirmations while there is something unconfirmed.
_ROUND_S: Final = 0.05
_RECONNECT_TIMEOUT_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 1.0


class Outbox:
    """Sends over one connection of its own. Thread-safe; belongs to the process that made it."""

    def __init__(self, url: str, settings: AmqpSettings) -> None:
        self._pid = os.getpid()
        self._settings = settings
        self._most = settings.confirm_window
        self._open: Callable[[float], Wire] = lambda timeout_s: Wire(url, settings, timeout_s)
        self._lock = threading.Lock()
        self._line: tuple[Wire, Publisher] | None = None
        self._again: list[Publication] = []  # taken, and to be sent once more
        self._users = 0
        self._has_work = threading.Event()
        self._keeper: threading.Thread | None = None
        self._failures = 0
        self._is_suspicious = False  # one of those to be sent again is refused by the broker for what it is
        atexit.register(_flush_at_exit, weakref.ref(self))

    # -- callers ------------------------------------------------------------------------------------------------------

    def attach(self) -> None:
        """Count one more transport that uses this."""
        with self._lock:
            self._users += 1

    def detach(self) -> None:
        """Count one less. The last one waits for the confirmations, where they can be expected; the keeper goes on else."""
        with self._lock:
            self._users -= 1
            is_last, is_well = not self._users, self._failures == 0
        if is_last and is_well:
            self.flush(self._settings.confirm_flush_s)

    def send(self, publications: Sequence[Publication], timeout_s: float) -> None:
        """Hand *publications* to the connection once they have room in the window.

        Raises :class:`~umbel.exceptions.OperationalError` when that is not possible within *timeout_s*; then none of them
        is kept.
        """
        deadline = time.monotonic() + timeout_s
        self._acquire(deadline, timeout_s)
        try:
            while True:
                try:
                    wire, publisher = self._connected(deadline)
                    # Not by `within`: a context manager is a twentieth of what a single call costs.
                    before, wire.amqp.deadline = wire.amqp.deadline, deadline
                    try:
                        self._make_room(publisher, wire, len(publications), timeout_s)
                        self._post(publisher, publications)
                    finally:
                        wire.amqp.deadline = before
                    break
                except FAILURES as error:
                    self._lose_line(error)
                    if time.monotonic() >= deadline:
                        raise OperationalError(f"cannot publish to RabbitMQ within {timeout_s:g} s: {error}") from error
        finally:
            self._lock.release()
        if not self._has_work.is_set():
            self._wake_keeper()

    def flush(self, timeout_s: float) -> int:
        """Wait until all is confirmed, at most *timeout_s*; return how many messages are not."""
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()  # never set: only to wait
        while time.monotonic() < deadline:
            with contextlib.suppress(OperationalError), self._locked(deadline, timeout_s):
                if self._count():
                    self._look_after(deadline)
                if not self._count():
                    self._hang_up_if_unused()
                    return 0
            pause.wait(_ROUND_S if self._failures else _ROUND_S / 25)
        return self._count()

    def _acquire(self, deadline: float, timeout_s: float) -> None:
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise OperationalError(f"cannot publish to RabbitMQ within {timeout_s:g} s: other calls wait for it")

    @contextlib.contextmanager
    def _locked(self, deadline: float, timeout_s: float) -> Iterator[None]:
        self._acquire(deadline, timeout_s)
        try:
            yield
        finally:
            self._lock.release()

    def _count(self) -> int:
        return len(self._again) + (len(self._line[1].unconfirmed) if self._line is not None else 0)

    # -- under the lock -----------------------------------------------------------------------------------------------

    def _connected(self, deadline: float) -> tuple[Wire, Publisher]:
        """Return the connection; where it is a new one, what was under way on the last goes first."""
        if self._line is None or not self._line[0].is_usable:
            self._lose_line(None)
            wire = self._open(max(0.001, deadline - time.monotonic()))
            self._line = wire, Publisher(wire, Topology(wire, self._settings.delayed_queue_type))
            self._send_again(deadline)
        return self._line

    def _make_room(self, publisher: Publisher, wire: Wire, count: int, timeout_s: float) -> None:
        """Wait until *count* more fit into the window; a batch that is larger goes when the window is empty."""
        most = max(0, self._most - count)
        if len(publisher.unconfirmed) + len(self._again) <= most and not wire.amqp.is_blocked:
            return
        wire.amqp.read_ready()
        try:
            while len(publisher.unconfirmed) + len(self._again) > most or wire.amqp.is_blocked:
                if self._again and not publisher.unconfirmed:
                    # The broker is well, and will not take what it was sent: its queue is full.
                    raise TimeoutError("it refuses messages (queue full?)")
                wire.amqp.blocking_read()
                self._sort(publisher)
        except TimeoutError as error:
            blocked = BLOCKED if wire.amqp.is_blocked else ""
            raise OperationalError(
                f"RabbitMQ has not confirmed {self._count()} messages within {timeout_s:g} s, and no more than"
                f" {self._most} may be unconfirmed: {error}{blocked}"
            ) from error

    def _post(self, publisher: Publisher, publications: Sequence[Publication]) -> None:
        before = len(publisher.unconfirmed)
        try:
            publisher.post(publications)
        except FAILURES:
            # Their caller hears of it, or they are tried again by hand: kept beside that, they would come twice.
            for serial in list(publisher.unconfirmed)[before:]:
                del publisher.unconfirmed[serial]
            raise

    def _sort(self, publisher: Publisher) -> None:
        """Put aside what the broker refused, or had no queue for, to be sent again."""
        if publisher.homeless:
            self._again += publisher.take_homeless()
        if publisher.refused:
            self._again += publisher.refused
            publisher.refused = []

    def _lose_line(self, error: BaseException | None) -> None:
        line, self._line = self._line, None
        if line is None:
            return
        wire, publisher = line
        self._is_suspicious |= isinstance(error, NotFound | PreconditionFailed)
        self._sort(publisher)
        self._again = [publication for publication, _ in publisher.unconfirmed.values()] + self._again
        wire.drop()
        if self._again:
            logger.warning(
                "the connection to RabbitMQ at %s was lost with %d messages unconfirmed; they will be sent again: %s",
                wire.masked,
                len(self._again),
                error or "it is closed",
            )

    def _send_again(self, deadline: float) -> None:
        line = self._line
        if not self._again or line is None:
            return
        wire, publisher = line
        if self._is_suspicious:
            self._send_one_by_one(publisher, deadline)
            return
        again, self._again = self._again, []
        try:
            with wire.within(deadline):
                publisher.post(again)
        except (*FAILURES, TransportError):
            if not publisher.unconfirmed:
                self._again = again
            raise

    def _send_one_by_one(self, publisher: Publisher, deadline: float) -> None:
        """Find out which message the broker refuses for what it is (too large, no such exchange): nothing can help it."""
        while self._again:
            try:
                publisher.publish(self._again[:1], max(0.001, deadline - time.monotonic()))
            except OperationalError:
                raise
            except TransportError as error:
                task = self._again[0].message.headers.get("task", "a message")
                logger.error("%s was refused by RabbitMQ and is lost: %s", task, error)  # noqa: TRY400 - the text says it
                del self._again[0]
                raise OperationalError(str(error)) from error  # the connection went with it
            del self._again[0]
        self._is_suspicious = False

    def _look_after(self, deadline: float) -> None:
        """Read confirmations, mend the connection, send again what must be."""
        try:
            wire, publisher = self._connected(deadline)
            wire.amqp.read_ready()
            self._sort(publisher)
            if self._again and not publisher.unconfirmed:
                self._send_again(deadline)
                self._failures += 1  # so that a broker which refuses is not hurried
            elif not self._again and not wire.amqp.is_blocked:
                self._failures = 0
        except FAILURES as error:
            self._failures += 1
            self._lose_line(error)
        except TransportError as error:
            self._failures += 1
            self._is_suspicious |= not isinstance(error, OperationalError)

    def _hang_up_if_unused(self) -> bool:
        if self._users:
            return False
        line, self._line = self._line, None
        if line is not None:
            line[0].close()
        self._has_work.set()  # the keeper ends
        return True

    # -- the keeper ---------------------------------------------------------------------------------------------------

    def _wake_keeper(self) -> None:
        with self._lock:
            self._has_work.set()
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="umbel-amqp-confirms", daemon=True)
                self._keeper.start()

    def _keep(self) -> None:
        """Collect confirmations while nobody else does, so that a loss is noticed and mended without another call."""
        pause = threading.Event()  # never set: only to wait
        while True:
            self._has_work.wait()
            pause.wait(min(_LONGEST_PAUSE_S, _ROUND_S * 2 ** min(self._failures, 10)))
            with self._lock:
                if self._count():
                    self._look_after(time.monotonic() + _RECONNECT_TIMEOUT_S)
                if not self._count():
                    self._has_work.clear()
                    if self._hang_up_if_unused():
                        self._keeper = None
                        return

    def flush_at_exit(self) -> None:
        """Give the broker a last chance to confirm, and say what is not certain."""
        if self._pid != os.getpid() or not self._count():
            return
        left = self.flush(self._settings.confirm_flush_s)
        if left:
            logger.error("%d messages were not confirmed by RabbitMQ before this process ended; they may be lost", left)


def _flush_at_exit(reference: weakref.ref[Outbox]) -> None:
    outbox = reference()
    if outbox is not None:
        outbox.flush_at_exit()


#: By application, so that its transports share one; the keeper's thread keeps an outbox that is not empty.
_outboxes: weakref.WeakKeyDictionary[Any, dict[str, Outbox]] = weakref.WeakKeyDictionary()
_inherited: list[dict[str, Outbox]] = []


def outbox_of(app: Any, url: str, settings: AmqpSettings) -> Outbox:
    """Return the outbox of *app* for *url* in this process."""
    mine = _outboxes.setdefault(app, {})
    found = mine.get(url)
    return found if found is not None else mine.setdefault(url, Outbox(url, settings))


def _set_aside() -> None:
    """In a child: it has nothing unconfirmed. Its parent's connections are kept, since py-amqp ends what it lets go of."""
    _inherited.extend(_outboxes.values())
    _outboxes.clear()


os.register_at_fork(after_in_child=_set_aside)
