"""Celery's message envelope on Redis, both ways (kombu's virtual transport: one JSON object, the body in base64)."""

from __future__ import annotations

import itertools
import os
from binascii import a2b_base64, b2a_base64
from typing import Any

import orjson

from umbel.model import Delivery, Message

__all__ = ["DELIVERIES", "Envelopes", "decode", "encode", "redelivered"]

#: Header that counts how often a message was taken without being finished (absent: never).
DELIVERIES = "x-umbel-deliveries"


class _Tags:
    """Delivery tags: as unique as a uuid4 and of its form, at a tenth of the cost (11 random bytes, then a counter)."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        noise = os.urandom(11).hex()
        self._prefix = f"{noise[:8]}-{noise[8:12]}-4{noise[12:15]}-a{noise[15:18]}-"
        self._serial = itertools.count(int(noise[18:], 16))

    def next(self) -> str:
        return f"{self._prefix}{next(self._serial):012x}"


_tags = _Tags()
os.register_at_fork(after_in_child=_tags.renew)


class Envelopes:
    """Writes the envelopes of messages that go one way. Calls without arguments have one body, which it writes once."""

    def __init__(self, exchange: str, routing_key: str, wire_priority: int) -> None:
        self._info = {"exchange": exchange, "routing_key": routing_key}
        self._priority = wire_priority
        self._body: bytes | None = None
        self._text = ""

    def encode(self, message: Message) -> bytes:
        """Return *message* as it goes into a list."""
        body = message.body
        if body is not self._body:
            self._body, self._text = body, b2a_base64(body, newline=False).decode("ascii")
        properties = message.properties.copy()
        if "delivery_mode" not in properties:
            properties["delivery_mode"] = 2
        properties["delivery_info"] = self._info
        properties["priority"] = self._priority
        properties["body_encoding"] = "base64"
        properties["delivery_tag"] = _tags.next()
        document = {
            "body": self._text,
            "content-encoding": message.content_encoding,
            "content-type": message.content_type,
            "headers": message.headers,
            "properties": properties,
        }
        try:
            return orjson.dumps(document)
        except TypeError:  # a key that is no text: to allow for it always would cost all others half of the time
            return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)


def encode(message: Message, exchange: str, routing_key: str, wire_priority: int) -> bytes:
    """Return *message* as it goes into a list."""
    return Envelopes(exchange, routing_key, wire_priority).encode(message)


def decode(raw: bytes, queue: str, tag: Any) -> Delivery:
    """Read an envelope; one that cannot be read comes back whole, with ``error`` saying why."""
    try:
        document = orjson.loads(raw)
        properties: dict[str, Any] = document["properties"]
        info: dict[str, Any] = properties.pop("delivery_info", None) or {}
        body = document["body"]
        if properties.pop("body_encoding", None) == "base64":
            body = a2b_base64(body)
        elif isinstance(body, str):
            body = body.encode()
        properties.pop("delivery_tag", None)
        priority = properties["priority"] = 9 - int(properties.get("priority") or 0)
        headers: dict[str, Any] = document.get("headers") or {}
        count = int(headers.get(DELIVERIES) or 0) + 1
        again = bool(headers.get("redelivered") or info.get("redelivered"))
        message = Message(
            body, headers, properties, document.get("content-type") or "", document.get("content-encoding") or "utf-8"
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        text = f"expected a message envelope in JSON, got {bytes(raw[:80])!r}: {error}"
        return Delivery(Message(bytes(raw), content_type="application/data"), queue, tag, error=text)
    return Delivery(
        message,
        queue,
        tag,
        info.get("exchange") or "",
        info.get("routing_key") or queue,
        priority,
        max(count, 2) if again else count,
        again,
    )


def redelivered(raw: bytes) -> bytes:
    """Return the envelope *raw* marked as taken once more without being finished; garbage is returned as it is."""
    try:
        document = orjson.loads(raw)
        headers = document.setdefault("headers", {})
        headers[DELIVERIES] = int(headers.get(DELIVERIES) or 0) + 1
        headers["redelivered"] = True
        document["properties"].setdefault("delivery_info", {})["redelivered"] = True
        return orjson.dumps(document)
    except (ValueError, TypeError, KeyError, AttributeError):
        return raw
