"""What is run, and what is not: each message that comes in is looked at once, by its headers alone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from umbel import signals
from umbel.exceptions import ContentDisallowed, DecodeError, UmbelError
from umbel.model import Delivery
from umbel.protocol.tasks import normalize, parse_time
from umbel.spi import Job, TransportCapabilities
from umbel.worker import frames
from umbel.worker.endings import Ending, Verdict
from umbel.worker.failures import Failures, parking_reason, put_back
from umbel.worker.held import Held, Jobs, delivery_count, held_of
from umbel.worker.timers import Timer, Timers

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Admission", "Gate"]

logger = logging.getLogger("umbel.worker.intake")

#: Looks at a message that would be run now; an answer ends its way, or ``None`` lets it through. Revocation, rate limits
#: and the like are gates; one that keeps the message answers with an ending that concerns no message. Called on the
#: intake's thread for every message while there is any gate.
Gate = Callable[[Held], Ending | None]

_UNKNOWN_SINCE = "x-umbel-unknown-since"
_UNKNOWN_TRIES = "x-umbel-unknown-tries"
_LONGEST_UNKNOWN_PAUSE_S = 15.0
#: What is due within this time waits here rather than going back to the broker.
_SOON_S = 1.0


@attrs.define(eq=False)
class _Order:
    """How calls of one task are run, beside what their messages say."""

    time_limit_s: float | None
    soft_time_limit_s: float | None
    acks_late: bool


class Admission:
    """Turns deliveries into jobs. Its :meth:`admit` is called by the intake's thread alone.

    *finish* takes the endings of what is not run; *submit* jobs that start later than their delivery came.
    """

    def __init__(
        self,
        app: Umbel,
        jobs: Jobs,
        failures: Failures,
        timers: Timers,
        finish: Callable[[Ending], None],
        submit: Callable[[Sequence[Job]], None],
        limits: tuple[float | None, float | None] = (None, None),
    ) -> None:
        #: Looked at for every message that would be run; empty on the fast path.
        self.gates: list[Gate] = []
        #: :data:`frames.REPORT` while somebody wants to hear of how tasks run.
        self.flags = 0
        #: Told of the tasks that come in, with the time. One that is not to wait for its end may have started by then.
        self.on_received: list[Callable[[Sequence[Held], float], None]] = []
        self._received: list[Held] = []
        self._wants_reports: set[int] = set()
        self._app = app
        self._jobs = jobs
        self._failures = failures
        self._timers = timers
        self._finish = finish
        self._submit = submit
        self._limits = limits
        self._accept = app.codec.content_types(app.conf.accept_content)
        self._most_deliveries = app.conf.task_max_deliveries
        self._eta_limit = app.conf.worker_eta_task_limit
        self._orders: dict[str, _Order] = {}
        self._waiting: dict[int, tuple[Held, Timer]] = {}
        self._waiting_lock = threading.Lock()
        #: Whether the broker can hold a message until its time.
        self.holds_delayed = False

    def set_capabilities(self, capabilities: TransportCapabilities) -> None:
        """Learn what the transport of the deliveries to come can do."""
        self.holds_delayed = capabilities.delayed_delivery
        self._failures.counts = capabilities.counts_deliveries

    def want_reports(self, who: object, *, wanted: bool) -> None:
        """Have the outcomes of jobs to come carry reports, or not any more, as far as *who* is concerned."""
        (self._wants_reports.add if wanted else self._wants_reports.discard)(id(who))
        self.flags = frames.REPORT if self._wants_reports else 0

    def forget_orders(self) -> None:
        """Read the tasks' options anew for what comes from now on (a limit was changed) [B1018]."""
        self._orders.clear()

    def admit(self, deliveries: Sequence[Delivery], generation: int) -> list[Job]:
        """Return the jobs that start now; everything else of *deliveries* is on its way elsewhere on return."""
        jobs: list[Job] = []
        now = time.time()
        logs = logger.isEnabledFor(logging.INFO)
        for delivery in deliveries:
            try:
                job = self._admit(delivery, generation, now, logs=logs)
            except Exception as error:
                self._refuse(delivery, generation, error)
            else:
                if job is not None:
                    jobs.append(job)
        if self._received:
            received, self._received = self._received, []
            for tell in tuple(self.on_received):  # one may be taken away meanwhile
                tell(received, now)
        return jobs

    def _admit(self, delivery: Delivery, generation: int, now: float, *, logs: bool) -> Job | None:
        if delivery.error is not None:
            raise DecodeError(delivery.error)
        message = delivery.message
        if message.content_type not in self._accept:
            raise ContentDisallowed(
                f"content type {message.content_type!r} is not accepted here; accept_content names "
                f"{', '.join(sorted(self._accept))}"
            )
        head = frames.plain_head(message.headers)
        if head is None:
            delivery.message = message = normalize(message, self._app.codec, self._accept)
        headers = message.headers
        name = headers["task"]
        order = self._orders.get(name) or self._order(name)
        count = delivery.delivery_count if head is not None else delivery_count(delivery)
        held = Held(delivery, name, headers["id"], generation, count)
        if order is None:
            self._unknown(held, now)
            return None
        if count > self._most_deliveries:
            self._finish(self._failures.crashed_too_often(held))
            return None
        if logs:
            eta = headers["eta"]
            logger.info("Received task: %s[%s]%s", name, held.task_id, f" ETA:[{eta}]" if eta else "")
        if self.on_received:
            held.received_at = now
            self._received.append(held)
        if signals.task_received.receivers:
            signals.task_received.send_robust(sender=self._app, request=held)
        if head is None and not self._is_timely(held, now):
            return None
        return self._job(held, order, head)

    def _job(self, held: Held, order: _Order, head: tuple[Any, ...] | None = None) -> Job | None:
        """Return the job of *held*, unless a gate is shut or its acknowledgement comes first.

        *head* is what is known of a plain call, which is most of them: see :func:`frames.plain_head`.
        """
        for gate in self.gates:
            ending = gate(held)
            if ending is not None:
                self._finish(ending)
                return None
        hard, soft = held.headers["timelimit"] if head is None else (None, None)
        job = Job(
            self._jobs.add(held),
            frames.encode_job(held.delivery, self.flags, held.count, head),
            held.name,
            order.time_limit_s if hard is None else hard,
            order.soft_time_limit_s if soft is None else soft,
        )
        if order.acks_late:
            return job
        self._finish(Ending(held, Verdict.ACK, after=lambda: self._start_acknowledged(held, job)))
        return None

    def _start_acknowledged(self, held: Held, job: Job) -> None:
        held.acknowledged = True
        self._submit([job])

    def _order(self, name: str) -> _Order | None:
        task = self._app.tasks.get(name)
        if task is None:
            return None
        hard, soft = self._limits
        order = self._orders[name] = _Order(
            time_limit_s=hard if task.time_limit is None else task.time_limit,
            soft_time_limit_s=soft if task.soft_time_limit is None else task.soft_time_limit,
            acks_late=bool(task.acks_late),
        )
        return order

    # -- not now, not any more ----------------------------------------------------------------------------------------

    def _is_timely(self, held: Held, now: float) -> bool:
        headers = held.headers
        expires, eta = headers["expires"], headers["eta"]
        if expires is not None and parse_time(expires, "expires").timestamp() <= now:
            self._finish(self._failures.revoked(held, "expired", expired=True))
            return False
        if eta is None:
            return True
        due = parse_time(eta, "eta").timestamp()
        if due <= now:
            return True
        is_crowded = self._eta_limit is not None and len(self._waiting) >= self._eta_limit
        if self.holds_delayed and (due - now > _SOON_S or is_crowded):
            self._finish(self._failures.back_uncounted(held, due))
        else:
            self.hold(held, due)
        return False

    def hold(self, held: Held, due: float) -> None:
        """Keep *held* here and look at it anew at *due*, Unix seconds. Any thread."""
        with self._waiting_lock:
            self._waiting[id(held)] = (held, self._timers.call_at(due, lambda: self._due(held)))

    def _due(self, held: Held) -> None:
        with self._waiting_lock:
            if self._waiting.pop(id(held), None) is None:
                return
        try:
            expires = held.headers["expires"]
            if expires is not None and parse_time(expires, "expires").timestamp() <= time.time():
                self._finish(self._failures.revoked(held, "expired", expired=True))
                return
            order = self._orders.get(held.name) or self._order(held.name)
            job = self._job(held, order) if order is not None else None
        except Exception as error:
            self._refuse(held.delivery, held.generation, error)
            return
        if job is not None:
            self._submit([job])

    def waiting(self) -> list[Held]:
        """Return what is held until it is due."""
        with self._waiting_lock:
            return [held for held, _ in self._waiting.values()]

    def withdraw(self, is_meant: Callable[[Held], bool]) -> list[Held]:
        """Take out, and return, those that are meant of what is held until it is due. Any thread."""
        with self._waiting_lock:
            found = [(key, *entry) for key, entry in self._waiting.items() if is_meant(entry[0])]
            for key, _, timer in found:
                del self._waiting[key]
                timer.cancel()
        return [held for _, held, _ in found]

    def give_back_waiting(self) -> None:
        """Give back, uncounted, what is held until it is due."""
        with self._waiting_lock:
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for held, timer in waiting:
            timer.cancel()
            self._finish(self._failures.back_uncounted(held))

    # -- what cannot be run -------------------------------------------------------------------------------------------

    def _unknown(self, held: Held, now: float) -> None:
        """Let a message of an unknown name go back for a while (a newer worker may know it), then park it."""
        headers = held.headers
        since, tries = headers.get(_UNKNOWN_SINCE), headers.get(_UNKNOWN_TRIES)
        since = float(since) if isinstance(since, int | float) else now
        tries = tries if isinstance(tries, int) and tries >= 0 else 0
        left_s = since + self._app.conf.task_unknown_retry_s - now
        if left_s <= 0:
            self._finish(self._failures.unknown(held))
            return
        if tries == 0:
            logger.error(
                "Received unregistered task of type %r [%s]: it goes back to its queue for %.0f s, for another worker "
                "that knows it, and is parked then. Is its module imported (include, imports, -I)?",
                held.name,
                held.task_id,
                left_s,
            )
        pause_s = min(0.5 * 2 ** min(tries, 10), _LONGEST_UNKNOWN_PAUSE_S, left_s)
        marks: dict[str, Any] = {_UNKNOWN_SINCE: since, _UNKNOWN_TRIES: tries + 1}
        if self.holds_delayed:
            back = put_back(held.delivery, marks, now + pause_s)
            self._finish(Ending(held, Verdict.ACK, publications=[back]))
        else:
            ending = Ending(held, Verdict.ACK, publications=[put_back(held.delivery, marks)])
            self._timers.call_after(pause_s, lambda: self._finish(ending))

    def _refuse(self, delivery: Delivery, generation: int, error: Exception) -> None:
        held = held_of(delivery, generation)
        if not isinstance(error, UmbelError):
            logger.debug("a message could not be admitted", exc_info=error)
        signals.task_rejected.send_robust(sender=self._app, message=delivery.message, exc=error)
        self._finish(
            self._failures.parked(held, parking_reason(error), error if isinstance(error, UmbelError) else str(error))
        )
