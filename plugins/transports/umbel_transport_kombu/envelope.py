"""kombu's envelope, both ways: what Celery's programs on the same broker write and read."""

from __future__ import annotations

import copy
import json
from typing import Any, Final

from kombu.transport import virtual

from umbel.model import Delivery, Message, Publication

__all__ = ["carried", "decode", "garbage", "returned"]

#: Header that counts how often a message was taken without being finished (absent: never).
_DELIVERIES: Final = "x-umbel-deliveries"
_OWN: Final = ("delivery_info", "body_encoding", "delivery_tag")


def carried(publication: Publication) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    """Return body, headers and properties, as copies; raises ``TypeError`` for what cannot be written as JSON."""
    message = publication.message
    properties = {"delivery_mode": 2, **message.properties, "priority": publication.priority or 0}
    headers, properties = json.loads(json.dumps([message.headers, properties]))
    return message.body, headers, properties


def decode(message: Any, queue: str, tag: Any) -> Delivery:
    """Read kombu's *message*; raises for what is no envelope."""
    channel = message.channel
    if isinstance(message, virtual.Message):
        raw = message._raw  # kombu has unpacked compressed bodies already, and left the header that says so
        properties: dict[str, Any] = dict(raw["properties"])
        body = raw["body"]
        if body:
            body = channel.decode_body(body, properties.get("body_encoding"))
        headers = raw.get("headers") or {}
        content_type, encoding = raw.get("content-type"), raw.get("content-encoding")
    else:
        properties, body, headers = dict(message.properties), message.body, message.headers or {}
        headers = {name: value for name, value in headers.items() if name != "compression"}
        content_type, encoding = message.content_type, message.content_encoding
    info = message.delivery_info or {}
    for name in _OWN:
        properties.pop(name, None)
    headers = copy.deepcopy(headers)  # some transports hand the same object to several receivers
    count = int(headers.get(_DELIVERIES) or 0) + _received(info)
    again = bool(headers.get("redelivered") or info.get("redelivered") or _is_put_back(message))
    return Delivery(
        Message(
            body.encode() if isinstance(body, str) else bytes(body or b""),
            headers,
            copy.deepcopy(properties),
            content_type or "application/data",
            encoding or "utf-8",
        ),
        queue,
        tag,
        info.get("exchange") or "",
        info.get("routing_key") or queue,
        int(properties.get("priority") or 0),
        max(count, 2) if again else count,
        again or count > 1,
    )


def _is_put_back(message: Any) -> bool:
    """Say whether kombu itself put *message* back."""
    return bool(getattr(message, "_raw", {}).get("redelivered"))


def _received(info: dict[str, Any]) -> int:
    """Return how often the broker has handed it out, where it counts (SQS)."""
    attributes = (info.get("sqs_message") or {}).get("Attributes") or {}
    return int(attributes.get("ApproximateReceiveCount") or 1)


def garbage(data: bytes, queue: str, tag: Any, error: Exception) -> Delivery:
    """Return what was found instead of a message, for the worker to park."""
    text = f"expected a message envelope of kombu, got {data[:80]!r}: {type(error).__name__}: {error}"
    return Delivery(Message(data, content_type="application/data"), queue, tag, error=text[:500])


def returned(message: Any, *, uncounted: bool) -> dict[str, Any]:
    """Return the envelope of *message* as it goes back to its queue."""
    raw: dict[str, Any] = message._raw
    headers = copy.deepcopy(raw.get("headers") or {})
    properties = {**raw["properties"]}
    info = {name: value for name, value in (properties.get("delivery_info") or {}).items() if name[:4] != "sqs_"}
    if not uncounted:
        headers[_DELIVERIES] = int(headers.get(_DELIVERIES) or 0) + _received(message.delivery_info or {})
        headers["redelivered"] = info["redelivered"] = True
    properties["delivery_info"] = info
    properties["delivery_tag"] = message.channel._next_delivery_tag()
    return {
        **{name: value for name, value in raw.items() if name != "redelivered"},
        "headers": headers,
        "properties": properties,
    }
