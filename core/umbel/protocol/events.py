"""Events as messages, both ways: what workers and clients tell monitors. Pure functions, thread-safe.

One event is a JSON object, several a list of them. A worker's task events travel as a list under the routing key
``task.multi``, everything else alone under its type, dashes turned to dots.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from umbel.exceptions import DecodeError
from umbel.model import Message
from umbel.protocol.reprs import saferepr

__all__ = [
    "EVENT_TYPES",
    "MULTI_KEY",
    "Event",
    "EventCodec",
    "as_batches",
    "decode_events",
    "encode_events",
    "group_from",
    "make_event",
    "routing_key",
    "sent_fields",
    "utcoffset",
]

#: Where a batch of task events goes.
MULTI_KEY: Final = "task.multi"

#: The types that Umbel sends by itself; there may be any others.
EVENT_TYPES: Final = (
    "task-sent",
    "task-received",
    "task-started",
    "task-succeeded",
    "task-failed",
    "task-retried",
    "task-revoked",
    "task-rejected",
    "task-cancelled",
    "worker-online",
    "worker-heartbeat",
    "worker-offline",
    "worker-elect",
    "worker-elect-ack",
)

_LONGEST_TYPE: Final = 200  # a routing key has room for 255 bytes


class EventCodec(Protocol):
    """What is asked of a codec here."""

    def dumps(self, value: Any, serializer: str, /) -> tuple[bytes, str, str]: ...

    def dumps_plain(self, value: Any, serializer: str, /) -> tuple[bytes, str, str]: ...

    def loads(self, data: bytes, content_type: str, content_encoding: str, accept: frozenset[str] | None, /) -> Any: ...


def Event(  # noqa: N802 - Celery's name
    type: str, _fields: Mapping[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """Return an event: a dict of *fields* with its *type* and, unless it is given, the time [B647]."""
    return {"timestamp": time.time(), **(_fields or {}), **fields, "type": type}


def make_event(kind: str, fields: Mapping[str, Any], hostname: str, pid: int, clock: int) -> dict[str, Any]:
    """Return a whole event of type *kind*: *fields* with those that every event has; one that is given stands."""
    return {
        "hostname": hostname,
        "utcoffset": utcoffset(),
        "pid": pid,
        "clock": clock,
        "timestamp": time.time(),
        **fields,
        "type": kind,
    }


def utcoffset() -> float:
    """Return how many hours this machine is behind UTC now (the sign of ``time.timezone``)."""
    return (time.altzone if time.localtime().tm_isdst else time.timezone) / 3600


def group_from(kind: str) -> str:
    """Return the first word of a type: ``task`` of ``task-sent``."""
    return kind.partition("-")[0]


def routing_key(kind: str) -> str:
    """Return the routing key of a type: ``task.sent`` of ``task-sent``."""
    return kind.replace("-", ".")


def encode_events(
    events: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    codec: EventCodec,
    serializer: str,
    hostname: str,
    delivery_mode: int = 1,
    *,
    is_plain: bool = False,
) -> Message:
    """Return the message of one event, or of several; *is_plain*: nothing is in them but what JSON knows.

    Raises :class:`~umbel.exceptions.EncodeError`.
    """
    body, content_type, encoding = (codec.dumps_plain if is_plain else codec.dumps)(events, serializer)
    return Message(body, {"hostname": hostname}, {"delivery_mode": delivery_mode}, content_type, encoding)


def decode_events(message: Message, codec: EventCodec, accept: frozenset[str] | None = None) -> list[dict[str, Any]]:
    """Return the events in *message*, each a dict with at least a ``type``.

    Raises :class:`~umbel.exceptions.DecodeError` for what is no event, and
    :class:`~umbel.exceptions.ContentDisallowed` for content that is not accepted.
    """
    value = codec.loads(message.body, message.content_type, message.content_encoding, accept)
    events = value if isinstance(value, list) else [value]
    for event in events:
        _check(event)
    return events


def _check(event: Any) -> None:
    if not isinstance(event, dict):
        raise DecodeError(f"expected an event, which is an object with a type, got {saferepr(event, 80)}")
    kind = event.get("type")
    if not isinstance(kind, str) or not kind or len(kind) > _LONGEST_TYPE:
        raise DecodeError(f"expected an event with a type such as task-sent, got the type {saferepr(kind, 80)}")
    for name in ("timestamp", "clock", "utcoffset"):
        value = event.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise DecodeError(f"expected the {name} of event {kind} to be a number, got {saferepr(value, 80)}")
    for name in ("hostname", "uuid"):
        value = event.get(name)
        if value is not None and not isinstance(value, str):
            raise DecodeError(f"expected the {name} of event {kind} to be text, got {saferepr(value, 80)}")


def sent_fields(headers: Mapping[str, Any], queue: str | None, exchange: str, key: str) -> dict[str, Any]:
    """Return the fields of ``task-sent`` for a task message with the *headers* of protocol 2."""
    get = headers.get
    return {
        "uuid": get("id"),
        "root_id": get("root_id"),
        "parent_id": get("parent_id"),
        "name": get("shadow") or get("task"),
        "args": get("argsrepr"),
        "kwargs": get("kwargsrepr"),
        "retries": get("retries") or 0,
        "eta": get("eta"),
        "expires": get("expires"),
        "queue": queue,
        "exchange": exchange,
        "routing_key": key,
    }


def as_batches(events: Iterable[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Return (routing key, what to encode) for *events* in their order: runs of task events as lists."""
    batches: list[tuple[str, Any]] = []
    for event in events:
        kind = event["type"]
        if not kind.startswith("task-"):
            batches.append((routing_key(kind), event))
        elif batches and batches[-1][0] == MULTI_KEY:
            batches[-1][1].append(event)
        else:
            batches.append((MULTI_KEY, [event]))
    return batches
