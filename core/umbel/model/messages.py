"""What travels: a message, what a publisher asks for it, and what a consumer gets.

These are made by the million, hence plain slotted classes with identity comparison. Treat them as read-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from umbel.model.topology import Queue

__all__ = ["Delivery", "Message", "Publication", "Settlement"]


@attrs.define(eq=False)
class Message:
    """A message as transports carry it.

    *headers* and *properties* are flat mappings of text to JSON types (``WIRE.md`` 1.1 and 1.2); *body* is opaque to
    the transport. Known properties: ``correlation_id``, ``reply_to``, ``delivery_mode`` (1 or 2), ``priority``,
    ``expiration`` (text of milliseconds). What a transport does not know it carries unchanged.
    """

    body: bytes
    headers: dict[str, Any] = attrs.field(factory=dict)
    properties: dict[str, Any] = attrs.field(factory=dict)
    content_type: str = "application/json"
    content_encoding: str = "utf-8"


@attrs.define(eq=False)
class Publication:
    """A message and where, when and how urgently it goes.

    *queue* is the queue that routing chose (transports without exchanges put it there); *exchange* and *routing_key*
    are what an exchange-aware transport publishes to. *deliver_at* is Unix seconds: not before then (``None``: now).
    *priority*: 0 to 9, the higher the sooner, on every transport; ``None`` (not asked for) is 0, except where a transport
    says otherwise. *expires_at* (Unix seconds): after that a transport
    may drop the message, and the worker will not run it.
    """

    message: Message
    queue: Queue | None
    exchange: str = ""
    routing_key: str = ""
    deliver_at: float | None = None
    priority: int | None = None
    expires_at: float | None = None


@attrs.define(eq=False)
class Delivery:
    """A message that a consumer holds until it settles it.

    *tag* belongs to the transport: the kernel hands it back unread. *delivery_count* is how often the message was
    handed out, this time included (1 = the first time); a transport that cannot count says 1, or 2 when *redelivered*.
    *error* is set, and the message's body is what was found, when the stored form could not be read: the worker parks it.
    """

    message: Message
    queue: str
    tag: Any
    exchange: str = ""
    routing_key: str = ""
    priority: int = 0
    delivery_count: int = 1
    redelivered: bool = False
    error: str | None = None


@attrs.define(eq=False)
class Settlement:
    """What becomes of deliveries: done (*acks*), refused for good (*rejects*), or back to the queue (*requeues*).

    A requeued message is deliverable again at once, or at *requeue_at* (Unix seconds) where the transport has
    ``delayed_delivery``; with *uncounted* the delivery is not held against it (it was never started).
    """

    acks: Sequence[Delivery] = ()
    rejects: Sequence[Delivery] = ()
    requeues: Sequence[Delivery] = ()
    requeue_at: float | None = None
    uncounted: bool = False

    def __bool__(self) -> bool:
        return bool(self.acks or self.rejects or self.requeues)
