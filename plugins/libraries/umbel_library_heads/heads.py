"""What stands beside a message's body in the store: headers, properties and address, as one JSON text."""

from __future__ import annotations

import base64
import decimal
import json
from typing import Any, Final

import orjson

from umbel.exceptions import EncodeError
from umbel.model import Message, Publication

__all__ = ["decode", "encode"]

#: The first byte of what orjson could not write (integers above 64 bits, lone surrogates, bytes): read by json.
_EXOTIC: Final = b"\0"
_BYTES_KEY: Final = "__umbel_bytes__"


def encode(publication: Publication) -> bytes:
    """Return the head of *publication*. Raises :class:`~umbel.exceptions.EncodeError` for what is no JSON type."""
    message = publication.message
    head = (
        message.headers,
        message.properties,
        message.content_type,
        message.content_encoding,
        publication.exchange,
        publication.routing_key,
    )
    try:
        return orjson.dumps(head)
    except TypeError:
        pass
    try:
        return _EXOTIC + json.dumps(head, default=_exotic).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise EncodeError(
            f"expected headers and properties to be JSON types under text keys, got something else ({error}): "
            "put it into the task's arguments, whose serializer you choose"
        ) from error


def decode(head: Any, body: Any) -> tuple[Message, str, str, str | None]:
    """Return message, exchange, routing key and, when the head is not what :func:`encode` wrote, what is wrong."""
    try:
        headers, properties, content_type, encoding, exchange, routing_key = _load(head)
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        return _unreadable(body, f"the stored head is no JSON text of six parts: {error}")
    if not (type(headers) is type(properties) is dict and type(body) is bytes):
        return _unreadable(body, f"headers, properties and body are {_type_names(headers, properties, body)}")
    return Message(body, headers, properties, content_type, encoding), exchange, routing_key, None


def _load(head: Any) -> Any:
    try:
        return orjson.loads(head)
    except ValueError:
        if head[:1] != _EXOTIC:
            raise
    return json.loads(head[1:], object_hook=_undo_exotic)


def _unreadable(body: Any, problem: str) -> tuple[Message, str, str, str]:
    found = body if isinstance(body, bytes) else repr(body).encode()
    return Message(found, {}, {}, "application/octet-stream", "binary"), "", "", problem


def _type_names(*values: Any) -> str:
    return ", ".join(type(value).__name__ for value in values)


def _exotic(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {_BYTES_KEY: base64.b64encode(value).decode("ascii")}
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, decimal.Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} {value!r:.100}")


def _undo_exotic(value: dict[str, Any]) -> Any:
    if len(value) == 1 and _BYTES_KEY in value:
        return base64.b64decode(value[_BYTES_KEY])
    return value
