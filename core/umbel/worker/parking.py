"""Messages that cannot be run are parked beside their queue, with the reason, and can be put back.

The parked messages of the queue ``q`` lie in the queue ``q.parked``. A parked message keeps its body and headers and
gains ``x-umbel-parked-*`` headers; ``umbel parked`` lists, shows, requeues and drops them.
"""

from __future__ import annotations

import time
from typing import Any, Final

import attrs

from umbel.model import Delivery, Message, Publication, Queue

__all__ = [
    "PREFIX",
    "SUFFIX",
    "ParkedInfo",
    "own_headers",
    "parked_info",
    "parked_publication",
    "parked_queue",
    "unparked",
]

SUFFIX: Final = ".parked"
PREFIX: Final = "x-umbel-parked-"

#: Headers by which the worker counts what a transport cannot count; they go when a message is put back by hand.
_COUNTERS: Final = frozenset({"x-umbel-deliveries", "x-umbel-unknown-since", "x-umbel-unknown-tries"})

_ERROR_LENGTH: Final = 4000


def parked_queue(queue: str) -> Queue:
    """Return the queue in which what was parked from *queue* lies (a parked message's own queue when it is one)."""
    return Queue(name=queue if queue.endswith(SUFFIX) else queue + SUFFIX)


def parked_publication(delivery: Delivery, reason: str, error: str, count: int | None = None) -> Publication:
    """Return the copy of *delivery*'s message that goes to its queue's parked queue.

    *reason* is one word (``unknown-task``, ``undecodable``, ``refused-content``, ``invalid``, ``crashed``,
    ``rejected``); *error* is for people and cut to a few thousand characters.
    """
    message = delivery.message
    headers = dict(message.headers) if isinstance(message.headers, dict) else {}
    headers[PREFIX + "reason"] = reason
    headers[PREFIX + "error"] = error[:_ERROR_LENGTH]
    headers[PREFIX + "at"] = time.time()
    headers[PREFIX + "queue"] = delivery.queue
    headers[PREFIX + "exchange"] = delivery.exchange
    headers[PREFIX + "routing-key"] = delivery.routing_key
    headers[PREFIX + "priority"] = delivery.priority
    headers[PREFIX + "count"] = delivery.delivery_count if count is None else count
    queue = parked_queue(delivery.queue)
    copy = Message(message.body, headers, _lasting(message.properties), message.content_type, message.content_encoding)
    return Publication(message=copy, queue=queue, exchange="", routing_key=queue.name)


def _lasting(properties: Any) -> dict[str, Any]:
    """Return *properties* without what would make the parked copy vanish by itself."""
    kept = dict(properties) if isinstance(properties, dict) else {}
    kept.pop("expiration", None)
    kept["delivery_mode"] = 2
    return kept


@attrs.frozen(kw_only=True)
class ParkedInfo:
    """What a parked message says of itself. *at* is Unix seconds; *count* how often it had been handed out."""

    task_id: str
    name: str
    reason: str
    error: str
    at: float
    queue: str
    count: int


def parked_info(delivery: Delivery) -> ParkedInfo:
    """Read the parked message in *delivery*; what is missing is empty, so that foreign messages can be listed too."""
    get = delivery.message.headers.get
    queue = delivery.queue
    return ParkedInfo(
        task_id=str(get("id") or delivery.message.properties.get("correlation_id") or ""),
        name=str(get("task") or ""),
        reason=str(get(PREFIX + "reason") or "unknown"),
        error=str(get(PREFIX + "error") or ""),
        at=float(get(PREFIX + "at") or 0.0),
        queue=str(get(PREFIX + "queue") or queue.removesuffix(SUFFIX)),
        count=int(get(PREFIX + "count") or 0),
    )


def own_headers(message: Message) -> dict[str, Any]:
    """Return the headers of *message* without what parking and counting added."""
    return {
        name: value for name, value in message.headers.items() if not name.startswith(PREFIX) and name not in _COUNTERS
    }


def unparked(delivery: Delivery, queue: Queue | None = None) -> Publication:
    """Return the publication that puts a parked message back into the queue it came from, or into *queue*."""
    message = delivery.message
    get = message.headers.get
    if queue is None:
        queue = Queue(name=parked_info(delivery).queue)
        exchange, routing_key = str(get(PREFIX + "exchange") or ""), str(get(PREFIX + "routing-key") or queue.name)
    else:
        exchange, routing_key = "", queue.name
    priority = get(PREFIX + "priority")
    return Publication(
        message=attrs.evolve(message, headers=own_headers(message)),
        queue=queue,
        exchange=exchange,
        routing_key=routing_key,
        priority=priority if isinstance(priority, int) else 0,
    )
