"""The publisher: the last step of every call."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel.calling.ids import origin
from umbel.calling.retrying import PublishPolicy
from umbel.calling.transports import TransportPool
from umbel.exceptions import OperationalError
from umbel.model import Publication, Queue, TaskCall
from umbel.protocol.reprs import MAX_LENGTH, saferepr
from umbel.protocol.tasks import encode_task
from umbel.signals import after_task_publish, before_task_publish

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.calling.router import Destination
    from umbel.spi import Transport

__all__ = ["Publisher"]


class Publisher:
    """Encodes calls and sends publications, over transports that are pooled per process. Thread-safe, fork-safe."""

    def __init__(self, app: Umbel) -> None:
        levels = app.conf.task_repr_maxlevels
        #: The text of arguments as monitors show it.
        self.shown: Callable[[Any], str] = lambda value: saferepr(value, MAX_LENGTH, levels)
        self._app = app
        self._encode = encode_task
        self._codec = app.codec
        self._policy = PublishPolicy.from_mapping(app.conf.task_publish_retry_policy)

    def prepare(self, call: TaskCall, destination: Destination) -> Publication:
        """Encode *call* for *destination*, without I/O. Raises :class:`~umbel.exceptions.EncodeError`."""
        conf = self._app.conf
        message = self._encode(
            call, self._codec, protocol=conf.task_protocol, origin=origin(), maxlevels=conf.task_repr_maxlevels
        )
        eta, expires = call.eta, call.expires
        if not call.ignore_result or call.chord or call.errbacks:
            expires = None  # somebody waits for the end, so the worker, and not the broker, lets the call expire
        return Publication(
            message,
            destination.queue,
            destination.exchange,
            destination.routing_key,
            None if eta is None else eta.timestamp(),
            call.priority,
            None if expires is None else expires.timestamp(),
        )

    def send(
        self,
        publications: Sequence[Publication],
        timeout_s: float | None = None,
        *,
        retry: bool | None = None,
        policy: Mapping[str, Any] | None = None,
        transport: Transport | Any = None,
        declare: Sequence[Queue] = (),
    ) -> None:
        """Publish all of *publications* in one request and return when the broker has them.

        Everything (waiting for a pooled connection, connecting, retries) happens within *timeout_s* seconds
        (``task_publish_timeout_s``); then, or when *policy* gives up, :class:`~umbel.exceptions.OperationalError`. An
        attempt whose answer was lost may have been taken: what is sent twice has one id. *transport* is used as it is,
        without retries, and a connection of the broker's driver is sent on inside of the transaction that is open on
        it; *declare* names further queues that must exist.
        """
        if before_task_publish.receivers:
            _announce(before_task_publish, publications)
        if transport is not None:
            if not callable(getattr(transport, "publish", None)):
                app = self._app
                transport = app.host.transport(app, app.connections.broker_urls[0]).in_transaction(transport)
            transport.declare(_queues(publications, declare))
            transport.publish(publications, self._timeout_s(timeout_s))
        else:
            self._send_pooled(publications, self._timeout_s(timeout_s), self._chosen(retry, policy), declare)
        if after_task_publish.receivers:
            _announce(after_task_publish, publications)
        if self._app.conf.task_send_sent_event:
            self._tell_sent(publications)

    def _tell_sent(self, publications: Sequence[Publication]) -> None:
        """Tell monitors of calls that were sent. The calls stand, whatever becomes of it."""
        from umbel.events.sent import tell_sent  # for start-up: few applications ask for it

        tell_sent(self._app, publications)

    def _timeout_s(self, timeout_s: float | None) -> float:
        return float(self._app.conf.task_publish_timeout_s) if timeout_s is None else timeout_s

    def _chosen(self, retry: bool | None, policy: Mapping[str, Any] | None) -> PublishPolicy | None:
        if not (self._app.conf.task_publish_retry if retry is None else retry):
            return None
        return PublishPolicy.from_mapping(self._app.conf.task_publish_retry_policy, policy) if policy else self._policy

    def _send_pooled(
        self,
        publications: Sequence[Publication],
        timeout_s: float,
        policy: PublishPolicy | None,
        declare: Sequence[Queue],
    ) -> None:
        deadline = time.monotonic() + timeout_s
        pool = self._app.connections.transports
        expected: tuple[type[BaseException], ...] = (
            OperationalError,
            *(policy.retry_errors if policy is not None else ()),
        )
        retries = 0
        while True:
            try:
                self._attempt(pool, publications, deadline, declare)
                return
            except expected as error:
                pause = policy.pause_s(retries) if policy is not None else None
                left = deadline - time.monotonic()
                if pause is None or left <= pause:
                    raise self._given_up(publications, error, retries, timeout_s) from error
            time.sleep(pause)
            retries += 1

    @contextlib.contextmanager
    def borrowed(self, timeout_s: float | None = None) -> Iterator[Transport]:
        """Lend a pooled transport for the block; one whose block raises is thrown away."""
        pool = self._app.connections.transports
        transport = pool.acquire(time.monotonic() + self._timeout_s(timeout_s))
        try:
            yield transport
        except BaseException:
            pool.discard(transport)
            raise
        pool.release(transport)

    def _attempt(
        self, pool: TransportPool, publications: Sequence[Publication], deadline: float, declare: Sequence[Queue]
    ) -> None:
        transport = pool.acquire(deadline)
        try:
            for publication in publications:
                queue = publication.queue
                if queue is not None and not pool.is_declared(queue.name):
                    pool.declare(transport, [queue], deadline)
            if declare:
                pool.declare(transport, declare, deadline)
            transport.publish(publications, max(0.001, deadline - time.monotonic()))
        except BaseException as error:
            # An error of the payload leaves the connection whole; an interrupt may leave it in the middle of a frame.
            if isinstance(error, Exception) and not isinstance(error, OperationalError | OSError):
                pool.release(transport)
            else:
                pool.discard(transport)
            raise
        pool.release(transport)

    def _given_up(
        self, publications: Sequence[Publication], error: BaseException, retries: int, timeout_s: float
    ) -> OperationalError:
        name = publications[0].message.headers.get("task", "a message") if publications else "nothing"
        what = f"task {name}" if len(publications) == 1 else f"{len(publications)} messages (the first: {name})"
        return OperationalError(
            f"could not publish {what} to {self._app.connections.broker_label} within {timeout_s:g} s "
            f"({retries + 1} attempts): {error}"
        )


def _queues(publications: Sequence[Publication], declare: Sequence[Queue]) -> list[Queue]:
    found = {publication.queue.name: publication.queue for publication in publications if publication.queue is not None}
    found.update({queue.name: queue for queue in declare})
    return list(found.values())


def _announce(signal: Any, publications: Sequence[Publication]) -> None:
    """Tell the receivers of *signal* of each publication; what they change in headers and properties is sent."""
    for publication in publications:
        message = publication.message
        named: dict[str, Any] = {
            "body": message.body,
            "exchange": publication.exchange,
            "routing_key": publication.routing_key,
            "headers": message.headers,
        }
        if signal is before_task_publish:
            declared = [] if publication.queue is None else [publication.queue]
            named.update(properties=message.properties, declare=declared, retry_policy=None)
        signal.send_robust(sender=message.headers.get("task"), **named)
