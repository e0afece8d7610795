"""The frames of a message on its way out and in: what py-amqp would spend most of its time on."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from umbel.exceptions import TransportError
from umbel.model import Message
from umbel_transport_amqp.tables import decode_table, encode_table, short_text

__all__ = [
    "OWN_PROPERTIES",
    "Deliver",
    "ack_frame",
    "method_frame",
    "parse_deliver",
    "parse_header",
    "publish_frames",
    "reject_frame",
]

#: Header that carries what a sender put among the properties and AMQP has no place for.
OWN_PROPERTIES: Final = "x-umbel-properties"

_HEAD: Final = struct.Struct(">BHI")
_ACK: Final = struct.Struct(">BHIHHQBB")
_TAG: Final = struct.Struct(">QB")
_SIZE: Final = struct.Struct(">Q")
_FLAGS: Final = struct.Struct(">H")
_END: Final = b"\xce"
#: Content type, content encoding and headers are always sent; so is the delivery mode.
_ALWAYS: Final = 0xF000
#: The text properties behind the priority, with their flags, in the order of the wire.
_TEXTS: Final = (("correlation_id", 0x0400), ("reply_to", 0x0200), ("expiration", 0x0100), ("message_id", 0x0080))
_LATE_TEXTS: Final = (("type", 0x0020), ("user_id", 0x0010), ("app_id", 0x0008))
_KNOWN: Final = frozenset({"delivery_mode", "priority", "timestamp", *(name for name, _ in (*_TEXTS, *_LATE_TEXTS))})
_MOST_MEMOS: Final = 2048
_kinds: dict[tuple[str, str], bytes] = {}
_texts: dict[bytes, str] = {}

#: (consumer tag, delivery tag, redelivered, exchange, routing key).
Deliver = tuple[str, int, bool, str, str]


def method_frame(channel: int, payload: bytes) -> bytes:
    """Return the frame of a method on *channel*."""
    return _HEAD.pack(1, channel, len(payload)) + payload + _END


def ack_frame(channel: int, tag: int, multiple: bool) -> bytes:
    """Return ``basic.ack``."""
    return _ACK.pack(1, channel, 13, 60, 80, tag, multiple, 0xCE)


def reject_frame(channel: int, tag: int, requeue: bool) -> bytes:
    """Return ``basic.reject``."""
    return _ACK.pack(1, channel, 13, 60, 90, tag, requeue, 0xCE)


def publish_method(exchange: str, routing_key: str, mandatory: bool) -> bytes:
    """Return the payload of ``basic.publish``."""
    return b"\x00\x3c\x00\x28\x00\x00%b%b%c" % (short_text(exchange), short_text(routing_key), mandatory)


def publish_frames(
    channel: int, frame_max: int, method: bytes, message: Message, priority: int, expiration: str | None
) -> bytes:
    """Return all frames that publish *message* by *method* (of :func:`publish_method`)."""
    header = _header(message, priority, expiration)
    body = message.body
    parts = [
        _HEAD.pack(1, channel, len(method)),
        method,
        b"\xce\x02",
        _FLAGS.pack(channel),
        struct.pack(">I", len(header)),
        header,
        _END,
    ]
    most = frame_max - 8
    for start in range(0, len(body), most):
        piece = body[start : start + most] if len(body) > most else body
        parts += (_HEAD.pack(3, channel, len(piece)), piece, _END)
    return b"".join(parts)


def _header(message: Message, priority: int, expiration: str | None) -> bytes:
    properties = message.properties
    headers: Mapping[str, Any] = message.headers
    own = {name: value for name, value in properties.items() if name not in _KNOWN} if _foreign(properties) else None
    if own:
        headers = {**headers, OWN_PROPERTIES: own}
    key = (message.content_type, message.content_encoding)
    kinds = _kinds.get(key)
    if kinds is None:
        kinds = short_text(key[0]) + short_text(key[1])
        if len(_kinds) < _MOST_MEMOS:
            _kinds[key] = kinds
    flags = _ALWAYS | 0x0800
    parts = [kinds, encode_table(headers), b"%c%c" % (properties.get("delivery_mode") or 2, priority)]
    for name, flag in _TEXTS:
        text = expiration if name == "expiration" else properties.get(name)
        if text is not None:
            flags |= flag
            parts.append(short_text(text))
    if len(properties) > 3:
        flags |= _late(properties, parts)
    return b"".join((b"\x00\x3c\x00\x00", _SIZE.pack(len(message.body)), _FLAGS.pack(flags), *parts))


def _foreign(properties: Mapping[str, Any]) -> bool:
    return not properties.keys() <= _KNOWN


def _late(properties: Mapping[str, Any], parts: list[bytes]) -> int:
    flags = 0
    timestamp = properties.get("timestamp")
    if timestamp is not None:
        flags |= 0x0040
        parts.append(_SIZE.pack(int(timestamp.timestamp() if hasattr(timestamp, "timestamp") else timestamp)))
    for name, flag in _LATE_TEXTS:
        if properties.get(name) is not None:
            flags |= flag
            parts.append(short_text(str(properties[name])))
    return flags


def _text_at(data: bytes, at: int) -> tuple[str, int]:
    start = at + 1
    end = start + data[at]
    raw = data[start:end]
    text = _texts.get(raw)
    if text is None:
        text = raw.decode("utf-8", "surrogateescape")
        # Names of exchanges, queues and content types come again; ids and keys with a delay do not.
        if len(raw) < 32 and len(_texts) < _MOST_MEMOS:
            _texts[raw] = text
    return text, end


def parse_deliver(payload: bytes) -> Deliver:
    """Return what ``basic.deliver`` says."""
    consumer, at = _text_at(payload, 4)
    tag, redelivered = _TAG.unpack_from(payload, at)
    exchange, at = _text_at(payload, at + 9)
    routing_key, _ = _text_at(payload, at)
    return consumer, tag, bool(redelivered), exchange, routing_key


def parse_header(payload: bytes) -> tuple[int, Message]:
    """Return the size of the body, and the message without it."""
    size = _SIZE.unpack_from(payload, 4)[0]
    flags = _FLAGS.unpack_from(payload, 12)[0]
    at = 14
    if flags & 1:
        raise TransportError("expected a message's properties in one group of flags, got a continuation")
    content_type, encoding = "", "utf-8"
    headers: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    if flags & 0x8000:
        content_type, at = _text_at(payload, at)
    if flags & 0x4000:
        encoding, at = _text_at(payload, at)
    if flags & 0x2000:
        start = at + 4
        at = start + int.from_bytes(payload[at:start])
        headers = decode_table(payload, start, at)
        own = headers.pop(OWN_PROPERTIES, None)
        if own:
            properties.update(own)
    if flags & 0x1000:
        properties["delivery_mode"] = payload[at]
        at += 1
    if flags & 0x0800:
        properties["priority"] = payload[at]
        at += 1
    for name, flag in _TEXTS:
        if flags & flag:
            end = at + 1 + payload[at]
            properties[name] = payload[at + 1 : end].decode("utf-8", "surrogateescape")
            at = end
    if flags & 0x0078:
        _parse_late(payload, at, flags, properties)
    return size, Message(b"", headers, properties, content_type, encoding)


def _parse_late(payload: bytes, at: int, flags: int, properties: dict[str, Any]) -> None:
    if flags & 0x0040:
        properties["timestamp"] = _SIZE.unpack_from(payload, at)[0]
        at += 8
    for name, flag in _LATE_TEXTS:
        if flags & flag:
            properties[name], at = _text_at(payload, at)
