"""What crosses the border of a pool: a job on the way in, an outcome on the way out, as bytes.

``marshal`` is the fastest codec of plain data that Python has, and both sides are the same interpreter; what it cannot
hold (an exotic object in a header) goes by pickle, whose first byte tells it apart. Pure functions, thread-safe.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from umbel.context import HEADERS
from umbel.model import ChordPart, Delivery, Message, Publication, Queue, TaskMeta

__all__ = [
    "DONE",
    "FAILED",
    "IGNORED",
    "KEPT",
    "PARK",
    "REJECTED",
    "REPORT",
    "REQUEUED",
    "RETRIED",
    "SUCCEEDED",
    "TOGETHER",
    "TOLD",
    "JobFrame",
    "Outcome",
    "QueueCodec",
    "decode_job",
    "decode_kept",
    "decode_outcome",
    "decode_report",
    "decode_together",
    "encode_job",
    "encode_kept",
    "encode_outcome",
    "encode_report",
    "encode_together",
    "plain_head",
]

#: The whole outcome of a task that succeeded and left nothing to do but its acknowledgement.
DONE: Final = b"."

#: First byte of the outcome of a task that succeeded and left its result and nothing else: the result's fields follow,
#: and the report or ``None``.
KEPT: Final = ord("+")
#: First byte of the outcome of a task that succeeded and left a report and nothing else.
TOLD: Final = ord("-")
#: The first byte of jobs, or outcomes, that are put together.
TOGETHER: Final = ord("B")

# What became of a task.
SUCCEEDED: Final = "S"
FAILED: Final = "F"
RETRIED: Final = "R"
IGNORED: Final = "I"
REJECTED: Final = "J"
REQUEUED: Final = "Q"
PARK: Final = "P"

#: Flag of a job: its outcome is to carry a report (run time, texts, when and where it ran) for events and metrics.
REPORT: Final = 1

_PICKLE_MARK: Final = 0x80
_MARSHAL_VERSION: Final = 2  # without reference tracking: a third faster for data without sharing


# A normalized message has all of these headers; one that has no others travels as their values alone.
_values = itemgetter(*HEADERS)
_FULL: Final = len(HEADERS)
_TASK, _ID, _ETA, _EXPIRES, _RETRIES, _TIMELIMIT = map(
    HEADERS.index, ("task", "id", "eta", "expires", "retries", "timelimit")
)
_NO_LIMITS: Final = [None, None]


class JobFrame(NamedTuple):
    """A decoded job. *delivery* is (queue, exchange, routing_key, priority, redelivered, delivery_count).

    *head* are the message's headers, or the values of :data:`~umbel.context.HEADERS` where it has exactly those.
    """

    flags: int
    head: dict[str, Any] | tuple[Any, ...]
    properties: dict[str, Any]
    content_type: str
    content_encoding: str
    body: bytes
    delivery: tuple[str, str, str, int, bool, int]

    @property
    def headers(self) -> dict[str, Any]:
        """The headers, made anew where only their values have come."""
        return dict(zip(HEADERS, self.head, strict=True)) if type(self.head) is tuple else dict(self.head)

    @property
    def name(self) -> str:
        """The name of the task."""
        name: str = self.head[_TASK] if type(self.head) is tuple else dict(self.head)["task"]
        return name


class Outcome(NamedTuple):
    """A decoded outcome. *reason* says why a message is to be parked or was rejected; *report* is for events."""

    kind: str
    metas: Sequence[tuple[Any, ...]] = ()
    publications: Sequence[tuple[Any, ...]] = ()
    parts: Sequence[tuple[Any, ...]] = ()
    reason: str | None = None
    report: tuple[Any, ...] | None = None


def _dumps(value: tuple[Any, ...]) -> bytes:
    try:
        return marshal.dumps(value, _MARSHAL_VERSION)
    except ValueError:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def _loads(data: bytes) -> Any:
    if data[0] == _PICKLE_MARK:
        return pickle.loads(data)
    return marshal.loads(data)  # noqa: S302 - the bytes come from this program's own other half


def plain_head(headers: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return the values of the headers of a plain call; ``None`` for any other, which needs a closer look.

    Plain is what is complete, has no headers of its own, no time to start or to expire, and no time limits.
    """
    if len(headers) != _FULL:
        return None
    try:
        head = _values(headers)
    except KeyError:
        return None
    is_plain = (
        head[_ETA] is None
        and head[_EXPIRES] is None
        and head[_TIMELIMIT] == _NO_LIMITS
        and type(head[_RETRIES]) is int
        and type(head[_TASK]) is str
        and type(head[_ID]) is str
        and bool(head[_TASK] and head[_ID])
    )
    return head if is_plain else None


def encode_job(
    delivery: Delivery, flags: int = 0, count: int | None = None, head: tuple[Any, ...] | None = None
) -> bytes:
    """Return the payload of the job that *delivery* asks for.

    *count* replaces its delivery count; *head* is what :func:`plain_head` has said of its headers.
    """
    message = delivery.message
    where = (
        delivery.queue,
        delivery.exchange,
        delivery.routing_key,
        delivery.priority,
        delivery.redelivered,
        delivery.delivery_count if count is None else count,
    )
    headers: Any = message.headers
    if head is None and len(headers) == _FULL:
        try:  # noqa: SIM105 - for many tasks, and a context manager costs a quarter of all the rest of this
            head = _values(headers)
        except KeyError:  # as many, and not these
            pass
    frame = (
        flags,
        headers if head is None else head,
        message.properties,
        message.content_type,
        message.content_encoding,
        message.body,
        where,
    )
    try:
        return marshal.dumps(frame, _MARSHAL_VERSION)
    except ValueError:
        return pickle.dumps(frame, pickle.HIGHEST_PROTOCOL)


def decode_job(payload: bytes) -> JobFrame:
    """Return what :func:`encode_job` encoded."""
    return JobFrame._make(_loads(payload))


def encode_together(parts: Sequence[bytes]) -> bytes:
    """Return jobs as one job, or outcomes as one outcome."""
    return b"B" + marshal.dumps(list(parts), _MARSHAL_VERSION)


def decode_together(data: bytes) -> list[bytes]:
    """Return what :func:`encode_together` put together."""
    parts: list[bytes] = marshal.loads(data[1:])  # noqa: S302 - the bytes come from this program's own other half
    return parts


def encode_outcome(
    kind: str,
    metas: Sequence[TaskMeta] = (),
    publications: Sequence[tuple[Any, ...]] = (),
    parts: Sequence[ChordPart] = (),
    reason: str | None = None,
    report: tuple[Any, ...] | None = None,
) -> bytes:
    """Return the bytes of an outcome; *publications* as :meth:`QueueCodec.pack` makes them."""
    if kind == SUCCEEDED and not metas and not publications and not parts:
        return DONE if report is None else encode_report(report)
    return _dumps(
        (
            kind,
            [_meta_fields(meta) for meta in metas],
            list(publications),
            [_part_fields(part) for part in parts],
            reason,
            report,
        )
    )


def decode_outcome(data: bytes) -> Outcome:
    """Return what :func:`encode_outcome` encoded, unless a first byte tells of one of the short forms."""
    return Outcome._make(_loads(data))


def encode_kept(meta: TaskMeta, report: tuple[Any, ...] | None = None) -> bytes:
    """Return the outcome of a task that succeeded and left *meta*, and *report* where one is wanted."""
    return b"+" + marshal.dumps((*_meta_fields(meta), report), _MARSHAL_VERSION)


def decode_kept(data: bytes) -> tuple[TaskMeta, tuple[Any, ...] | None]:
    """Return the meta and the report of an outcome that begins with :data:`KEPT`."""
    *fields, report = marshal.loads(memoryview(data)[1:])  # noqa: S302 - see _loads
    return TaskMeta(*fields), report


def encode_report(report: tuple[Any, ...]) -> bytes:
    """Return the outcome of a task that succeeded and left nothing but *report*, which is plain data."""
    return b"-" + marshal.dumps(report, _MARSHAL_VERSION)


def decode_report(data: bytes) -> tuple[Any, ...]:
    """Return the report of an outcome that begins with :data:`TOLD`."""
    report: tuple[Any, ...] = marshal.loads(memoryview(data)[1:])  # noqa: S302 - see _loads
    return report


def _meta_fields(meta: TaskMeta) -> tuple[Any, ...]:
    return (
        meta.task_id,
        meta.state,
        meta.payload,
        meta.content_type,
        meta.content_encoding,
        meta.attempt,
        meta.expires_s,
        meta.reply_to,
    )


def _part_fields(part: ChordPart) -> tuple[Any, ...]:
    return (
        part.group_id,
        part.task_id,
        part.index,
        part.state,
        part.payload,
        part.body,
        part.size,
        part.expires_s,
        part.extra,
    )


class QueueCodec:
    """Packs publications into plain tuples and back, each queue pickled once and remembered on both sides."""

    _MOST = 1000  # queues named by tasks' arguments must not grow a table for ever

    def __init__(self) -> None:
        self._packed: dict[int, tuple[Queue, bytes]] = {}
        self._unpacked: dict[bytes, Queue] = {}

    def pack(self, publication: Publication) -> tuple[Any, ...]:
        """Return *publication* as plain data."""
        message = publication.message
        return (
            message.body,
            message.headers,
            message.properties,
            message.content_type,
            message.content_encoding,
            None if publication.queue is None else self._pack_queue(publication.queue),
            publication.exchange,
            publication.routing_key,
            publication.deliver_at,
            publication.priority,
            publication.expires_at,
        )

    def unpack(self, fields: tuple[Any, ...]) -> Publication:
        """Return the publication that :meth:`pack` packed."""
        body, headers, properties, content_type, encoding, queue, exchange, routing_key, at, priority, expires = fields
        return Publication(
            message=Message(body, headers, properties, content_type, encoding),
            queue=None if queue is None else self._unpack_queue(queue),
            exchange=exchange,
            routing_key=routing_key,
            deliver_at=at,
            priority=priority,
            expires_at=expires,
        )

    def _pack_queue(self, queue: Queue) -> bytes:
        known = self._packed.get(id(queue))
        if known is not None and known[0] is queue:
            return known[1]
        data = pickle.dumps(queue, pickle.HIGHEST_PROTOCOL)
        if len(self._packed) >= self._MOST:
            self._packed.clear()
        self._packed[id(queue)] = (queue, data)
        return data

    def _unpack_queue(self, data: bytes) -> Queue:
        queue = self._unpacked.get(data)
        if queue is None:
            if len(self._unpacked) >= self._MOST:
                self._unpacked.clear()
            queue = self._unpacked[data] = pickle.loads(data)
        return queue
