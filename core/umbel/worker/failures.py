"""Endings that the worker itself gives to a message: it came too late, was lost, ran too long, cannot be run.

All of this happens in the worker's process, where no task runs; none of it raises for what a message holds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from umbel import signals
from umbel.canvas.chords import after_end
from umbel.context import Context
from umbel.exceptions import (
    ContentDisallowed,
    DecodeError,
    InvalidTaskError,
    NotRegistered,
    Retry,
    SignatureError,
    TaskRevokedError,
    Terminated,
    TimeLimitExceeded,
    UmbelError,
    WorkerLostError,
)
from umbel.model import Delivery, Message, Publication, Queue
from umbel.protocol.exceptions import traceback_text
from umbel.protocol.reprs import saferepr
from umbel.protocol.tasks import decode_body
from umbel.states import FAILURE, RETRY, REVOKED
from umbel.worker.endings import Ending, Verdict
from umbel.worker.held import DELIVERIES, Held
from umbel.worker.metas import MetaMaker
from umbel.worker.parking import parked_publication

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Failures", "parking_reason", "put_back"]

logger = logging.getLogger("umbel.worker.failures")

#: The word under which a message is parked -> what it is that makes it impossible to run; the special before the general.
#: It is also what the caller gets where a pool process refused the message, from which only texts come.
_ERRORS: Final[Mapping[str, type[UmbelError]]] = {
    "refused-content": ContentDisallowed,
    "bad-signature": SignatureError,
    "undecodable": DecodeError,
    "invalid": InvalidTaskError,
}


def parking_reason(error: Exception) -> str:
    """Return the word that a message is parked under which *error* makes impossible to run."""
    return next((word for word, kind in _ERRORS.items() if isinstance(error, kind)), "invalid")


def put_back(delivery: Delivery, headers: Mapping[str, Any], deliver_at: float | None = None) -> Publication:
    """Return a copy of *delivery*'s message for its own queue, with *headers* changed, not before *deliver_at*."""
    message = delivery.message
    changed = {**message.headers, **headers}
    copy = Message(message.body, changed, message.properties, message.content_type, message.content_encoding)
    return Publication(
        message=copy,
        queue=Queue(name=delivery.queue),
        exchange="",
        routing_key=delivery.queue,
        deliver_at=deliver_at,
        priority=delivery.priority,
    )


class Failures:
    """Makes the endings. *stores*: whether results are kept; *counts*: whether the transport counts deliveries.

    Thread-safe: intake, timers and outflow ask it.
    """

    def __init__(self, app: Umbel, node: str, *, stores: bool, dead_letters: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._node = node
        self._stores = stores
        self._dead_letters = dead_letters
        self._accept = app.codec.content_types(app.conf.accept_content)
        self._metas = MetaMaker(app)
        #: Set by the intake when it knows its transport.
        self.counts = True
        #: Told of each end that is made here: (type of event, what was held, its fields). On any of the threads.
        self.observers: list[Callable[[str, Held, Mapping[str, Any]], None]] = []

    # -- what did not start -------------------------------------------------------------------------------------------

    def revoked(self, held: Held, why: str, *, expired: bool = False) -> Ending:
        """End a task that is not run any more: *why* is ``revoked`` or ``expired`` [B1022] [B1024]."""
        logger.info("Task %s[%s] %s", held.name, held.task_id, "is too late: expired" if expired else why)
        self._send_revoked(held, terminated=False, signum=None, expired=expired)
        return self._ending(held, REVOKED, TaskRevokedError(why))

    def parked(self, held: Held, reason: str, error: UmbelError | str) -> Ending:
        """Park the message, and store FAILURE where its id is known."""
        exception = error if isinstance(error, BaseException) else _ERRORS.get(reason, UmbelError)(error)
        logger.error(
            "parked message %s[%s] of queue %s (%s): %s",
            held.name or "?",
            held.task_id or "?",
            held.delivery.queue,
            reason,
            exception,
        )
        publication = parked_publication(held.delivery, reason, str(exception), held.count)
        if not held.task_id:
            return Ending(held, Verdict.ACK, publications=[publication])
        self._tell("task-failed", held, exception=saferepr(exception), traceback=None)
        ending = self._ending(held, FAILURE, exception)
        return attrs.evolve(ending, publications=[publication, *ending.publications])

    def unknown(self, held: Held) -> Ending:
        """Park a message whose task nobody here has known for as long as is waited for one."""
        error = NotRegistered(held.name)
        signals.task_unknown.send_robust(
            sender=self._node, message=held.delivery.message, exc=error, name=held.name, id=held.task_id
        )
        return self.parked(held, "unknown-task", error)

    def crashed_too_often(self, held: Held, last: str = "") -> Ending:
        """Park a message that was handed out too often without coming to its end; *last* is what happened now."""
        text = _crash_text(held, self._app.conf.task_max_deliveries, last)
        return self.parked(held, "crashed", WorkerLostError(text))

    # -- what started -------------------------------------------------------------------------------------------------

    def lost(self, held: Held, reason: str) -> Ending:
        """The process that ran the task is gone: the message goes back, counted, or the task fails."""
        error = WorkerLostError(f"the process that ran the task is gone: {reason}")
        task = self._app.tasks.get(held.name)
        logger.error("Task %s[%s] lost its process: %s", held.name, held.task_id, reason)
        if task is not None and task.retry_on_worker_lost and not held.acknowledged:
            retries = held.headers.get("retries") or 0
            if task.max_retries is None or retries < task.max_retries:
                return self._lost_retry(held, error, retries + 1)
        if held.acknowledged or (task is not None and not task.reject_on_worker_lost):
            return self._failed(held, error)
        if held.count >= self._app.conf.task_max_deliveries:
            return self.crashed_too_often(held, reason)
        return self.back_counted(held)

    def timed_out(self, held: Held, limit_s: float) -> Ending:
        """The task ran over its hard limit and its process was killed [B992] [B994]."""
        error = TimeLimitExceeded(limit_s)
        logger.error("Hard time limit (%ss) exceeded for %s[%s]", limit_s, held.name, held.task_id)
        ending = self._failed(held, error)
        task = self._app.tasks.get(held.name)
        if task is None:
            return ending
        acks = task.acks_on_failure_or_timeout if task.acks_on_timeout is None else task.acks_on_timeout
        if acks or held.acknowledged:
            return ending
        if held.count >= self._app.conf.task_max_deliveries:
            return self.parked(held, "timed-out", error)
        return self.back_counted(held)

    def terminated(self, held: Held, signal_name: str, signum: int | None) -> Ending:
        """The task was killed by remote control: REVOKED, as in Celery [B1019]."""
        logger.warning("Task %s[%s] terminated by %s", held.name, held.task_id, signal_name)
        self._send_revoked(held, terminated=True, signum=signum, expired=False)
        return self._ending(held, REVOKED, TaskRevokedError("terminated"), cause=Terminated(signal_name))

    def cancelled(self, held: Held) -> Ending:
        """The task was cut off since the broker was lost: it will be delivered again, and is not to run twice."""
        self._tell("task-cancelled", held)
        ending = self.back_uncounted(held)
        if self._keeps(held, RETRY):
            ending.metas = [self._metas.make(self._request(held), RETRY, Retry("cancelled: its broker was lost"))]
        return ending

    def rejected(self, held: Held, reason: str, ending: Ending) -> Ending:
        """The task refused its message for good: to the broker's dead letters where they are set up, else parked."""
        if held.delivery.queue in self._dead_letters:
            return attrs.evolve(ending, verdict=Verdict.REJECT)
        parked = parked_publication(held.delivery, "rejected", reason, held.count)
        return attrs.evolve(ending, publications=[*ending.publications, parked])

    def back_counted(self, held: Held) -> Ending:
        """Give the message back so that this delivery is held against it, whatever the transport can count."""
        if held.acknowledged:
            return Ending(held)
        if held.count >= self._app.conf.task_max_deliveries:
            return self.crashed_too_often(held)
        if self.counts:
            return Ending(held, Verdict.REQUEUE)
        return Ending(held, Verdict.ACK, publications=[put_back(held.delivery, {DELIVERIES: held.count})])

    def back_uncounted(self, held: Held, at: float | None = None) -> Ending:
        """Give the message back as if it had never come; a copy of it when it is acknowledged already."""
        if held.acknowledged:
            return Ending(held, publications=[put_back(held.delivery, {})])
        return Ending(held, Verdict.REQUEUE, requeue_at=at, uncounted=True)

    def spoilt(self, ending: Ending, problem: Exception) -> Ending:
        """Stand in for an ending that cannot be committed: the task fails with *problem*."""
        held = ending.held
        if held is None:
            return Ending()
        error = UmbelError(f"what task {held.name} left behind cannot be committed: {problem}")
        return self._failed(held, error)

    # -- inner --------------------------------------------------------------------------------------------------------

    def _lost_retry(self, held: Held, error: WorkerLostError, retries: int) -> Ending:
        publication = put_back(held.delivery, {"retries": retries, DELIVERIES: 0})
        self._tell("task-retried", held, exception=saferepr(error), traceback=None)
        request = self._request(held)
        metas = [self._metas.make(request, RETRY, error)] if self._keeps(held, RETRY) else []
        return Ending(held, Verdict.ACK, publications=[publication], metas=metas)

    def _failed(self, held: Held, error: Exception) -> Ending:
        ending = self._ending(held, FAILURE, error)
        self._tell("task-failed", held, exception=saferepr(error), traceback=None)
        if signals.task_failure.receivers:
            request = self._request(held)
            signals.task_failure.send_robust(
                sender=self._app.tasks.get(held.name),
                task_id=held.task_id,
                exception=error,
                args=request.args,
                kwargs=request.kwargs,
                traceback=None,
                einfo=self._app.exception_info(error, traceback_text(error)),
            )
        return ending

    def _ending(self, held: Held, state: str, error: Exception, cause: Exception | None = None) -> Ending:
        """Return the acknowledgement with the state stored, errbacks sent and chain and chord told [B992] [B1023]."""
        error.__cause__ = cause
        request = self._request(held)
        ended = after_end(self._app, request, state, error)
        metas = ended.metas
        if self._keeps(held, state):
            metas = [self._metas.make(request, state, error), *metas]
        return Ending(held, Verdict.ACK, publications=ended.publications, metas=metas, parts=ended.parts)

    def _keeps(self, held: Held, state: str) -> bool:
        task = self._app.tasks.get(held.name)
        if not self._stores or (task is not None and task.backend_url is not None):
            return False
        ignored = bool(held.headers.get("ignore_result")) or (task is not None and bool(task.ignore_result))
        return not ignored or (state == FAILURE and task is not None and bool(task.store_errors_even_if_ignored))

    def _request(self, held: Held) -> Context:
        """Return the request as far as the message can be read: without body when that is the trouble."""
        delivery = held.delivery
        message = delivery.message
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        embed: dict[str, Any] = {}
        try:
            args, kwargs, embed = decode_body(message, self._app.codec, self._accept)
        except Exception as error:  # garbage, refused content, a serializer that is not installed
            logger.debug("the body of %s[%s] cannot be read: %r", held.name, held.task_id, error)
        where = (
            delivery.queue,
            delivery.exchange,
            delivery.routing_key,
            delivery.priority,
            delivery.redelivered,
            held.count,
        )
        headers = {**message.headers, "id": held.task_id, "task": held.name}
        try:
            return Context.from_message(
                headers, message.properties, args, kwargs, embed, delivery=where, hostname=self._node
            )
        except Exception:
            logger.debug("the request of %s[%s] cannot be made", held.name, held.task_id, exc_info=True)
            return Context(id=held.task_id, task=held.name, called_directly=False, hostname=self._node, outbox=[])

    def _tell(self, kind: str, held: Held, **fields: Any) -> None:
        for observer in tuple(self.observers):  # one may be taken away meanwhile
            observer(kind, held, fields)

    def _send_revoked(self, held: Held, *, terminated: bool, signum: int | None, expired: bool) -> None:
        self._tell("task-revoked", held, terminated=terminated, signum=signum, expired=expired)
        if signals.task_revoked.receivers:
            signals.task_revoked.send_robust(
                sender=self._app.tasks.get(held.name),
                request=self._request(held),
                terminated=terminated,
                signum=signum,
                expired=expired,
            )


def _crash_text(held: Held, most: int, last: str) -> str:
    return (
        f"the message was delivered {held.count} times and its task never came to an end "
        f"(task_max_deliveries is {most}); its process, or the worker, died each time{last and f', the last time: {last}'}"
    )
