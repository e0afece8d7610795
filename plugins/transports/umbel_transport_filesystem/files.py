"""The content of a message's file: a line with the lengths, the head as JSON, the body."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from umbel.exceptions import DecodeError, EncodeError
from umbel.model import Message, Publication

__all__ = ["decode", "encode"]

_MAGIC: Final = b"umbel-message-1"


def encode(publication: Publication) -> bytes:
    """Return what is written for *publication*; ``EncodeError`` for headers that JSON cannot hold."""
    message = publication.message
    expires_at = publication.expires_at
    if publication.queue is not None and publication.queue.message_ttl_s is not None:
        dies_at = time.time() + publication.queue.message_ttl_s
        expires_at = dies_at if expires_at is None else min(expires_at, dies_at)
    head = (
        message.headers,
        message.properties,
        message.content_type,
        message.content_encoding,
        publication.exchange,
        publication.routing_key,
        expires_at,
    )
    try:
        text = json.dumps(head).encode()
    except (TypeError, ValueError) as error:
        raise EncodeError(
            f"expected the headers and properties of a message to hold JSON types, got {error}: convert the value "
            "to text, or pass it as an argument of the task"
        ) from error
    return b"%s %d %d\n%s%s" % (_MAGIC, len(text), len(message.body), text, message.body)


def decode(data: bytes) -> tuple[Message, str, str, float | None]:
    """Return message, exchange, routing key and expiry; ``DecodeError`` for anything but a whole message."""
    line, found, rest = data.partition(b"\n")
    try:
        magic, head_size, body_size = line.split(b" ")
        if not found or magic != _MAGIC or len(rest) != int(head_size) + int(body_size):
            raise ValueError("it is cut off, or of another program")
        head: list[Any] = json.loads(rest[: int(head_size)])
        headers, properties, content_type, content_encoding, exchange, routing_key, expires_at = head
    except ValueError as error:
        raise DecodeError(
            f"expected a file written by umbel's filesystem transport, got {line[:60]!r}: {error}"
        ) from error
    message = Message(rest[int(head_size) :], headers, properties, content_type, content_encoding)
    return message, exchange, routing_key, expires_at
