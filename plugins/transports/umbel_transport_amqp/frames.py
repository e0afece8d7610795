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
    "nack_frame",
    "parse_deliver",
    "parse_header",
    "publish_frames",
    "publish_method",
    "reject_frame",
]

#: Header that carries what a sender put among the properties and AMQP has no place for.
OWN_PROPERTIES: Final = "x-umbel-properties"

_HEAD: Final = struct.Struct(">BHI")
_HEADER_HEAD: Final = struct.Struct(">BHIHHQ")
_ACK: Final = struct.Struct(">BHIHHQBB")
_TAG: Final = struct.Struct(">Q?")
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
_kinds_read: dict[bytes, tuple[str, str]] = {}
_places: dict[bytes, tuple[str, str]] = {}

#: (consumer tag, delivery tag, redelivered, exchange, routing key).
Deliver = tuple[str, int, bool, str, str]


def ack_frame(channel: int, tag: int, multiple: bool) -> bytes:
    """Return ``basic.ack``."""
    return _ACK.pack(1, channel, 13, 60, 80, tag, multiple, 0xCE)


def reject_frame(channel: int, tag: int) -> bytes:
    """Return ``basic.reject``: the message goes to the dead-letter exchange of its queue, or nowhere."""
    return _ACK.pack(1, channel, 13, 60, 90, tag, 0, 0xCE)


def nack_frame(channel: int, tag: int) -> bytes:
    """Return ``basic.nack`` that puts the message back. Unlike ``basic.reject``, RabbitMQ 4.3 holds it against nobody."""
    return _ACK.pack(1, channel, 13, 60, 120, tag, 2, 0xCE)


def publish_method(channel: int, exchange: str, routing_key: str, mandatory: bool) -> bytes:
    """Return the frame of ``basic.publish``."""
    payload = b"\x00\x3c\x00\x28\x00\x00%b%b%c" % (short_text(exchange), short_text(routing_key), mandatory)
    return _HEAD.pack(1, channel, len(payload)) + payload + _END


def publish_frames(
    channel: int, frame_max: int, method: bytes, message: Message, priority: int, expiration: str | None
) -> bytes:
    """Return all frames that publish *message* by *method* (of :func:`publish_method`)."""
    body = message.body
    header = _header(message, priority, expiration)
    if len(header) > frame_max - 20:
        raise TransportError(
            f"expected headers and properties of at most {frame_max - 20} bytes on AMQP (one frame), got {len(header)}"
        )
    size = len(body)
    head = _HEADER_HEAD.pack(2, channel, len(header) + 12, 60, 0, size)
    if 0 < size <= frame_max - 8:
        return b"".join((method, head, header, b"\xce", _HEAD.pack(3, channel, size), body, b"\xce"))
    parts = [method, head, header, _END]
    most = frame_max - 8
    for start in range(0, size, most):
        piece = body[start : start + most]
        parts += (_HEAD.pack(3, channel, len(piece)), piece, _END)
    return b"".join(parts)


def _header(message: Message, priority: int, expiration: str | None) -> bytes:
    """Return the payload of a header frame, behind the size of the body."""
    properties = message.properties
    headers: Mapping[str, Any] = message.headers
    if not properties.keys() <= _KNOWN:
        own = {name: value for name, value in properties.items() if name not in _KNOWN}
        headers = {**headers, OWN_PROPERTIES: own}
    key = (message.content_type, message.content_encoding)
    kinds = _kinds.get(key)
    if kinds is None:
        kinds = short_text(key[0]) + short_text(key[1])
        if len(_kinds) < _MOST_MEMOS:
            _kinds[key] = kinds
    flags = _ALWAYS | 0x0800
    parts = [b"", kinds, encode_table(headers), b"%c%c" % (properties.get("delivery_mode") or 2, priority)]
    for name, flag in _TEXTS:
        text = expiration if flag == 0x0100 else properties.get(name)
        if text is not None:
            flags |= flag
            raw = text.encode("utf-8", "surrogatepass")
            parts.append(b"%c%b" % (len(raw), raw) if len(raw) < 256 else short_text(text))
    if len(properties) > 3:
        flags |= _late(properties, parts)
    parts[0] = _FLAGS.pack(flags)
    return b"".join(parts)


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
    raw = payload[at + 9 :]
    place = _places.get(raw)
    if place is None:
        exchange, at = _text_at(raw, 0)
        place = exchange, _text_at(raw, at)[0]
        # As many as there are queues; but keys with a delay do not come again.
        if len(raw) < 64 and len(_places) < _MOST_MEMOS:
            _places[raw] = place
    return consumer, tag, redelivered, *place


def parse_header(payload: bytes) -> tuple[int, Message]:
    """Return the size of the body, and the message without it."""
    size = _SIZE.unpack_from(payload, 4)[0]
    flags = _FLAGS.unpack_from(payload, 12)[0]
    at = 14
    if flags & 1:
        raise TransportError("expected a message's properties in one group of flags, got a continuation")
    headers: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    content_type, encoding, at = _read_kinds(payload, at, flags)
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


def _read_kinds(payload: bytes, at: int, flags: int) -> tuple[str, str, int]:
    if flags & 0xC000 == 0xC000:
        middle = at + 1 + payload[at]
        end = middle + 1 + payload[middle]
        raw = payload[at:end]
        known = _kinds_read.get(raw)
        if known is None:
            known = raw[1 : middle - at].decode("utf-8", "surrogateescape"), raw[middle - at + 1 :].decode()
            if len(_kinds_read) < _MOST_MEMOS:
                _kinds_read[raw] = known
        return *known, end
    content_type, encoding = "", "utf-8"
    if flags & 0x8000:
        content_type, at = _text_at(payload, at)
    if flags & 0x4000:
        encoding, at = _text_at(payload, at)
    return content_type, encoding, at


def _parse_late(payload: bytes, at: int, flags: int, properties: dict[str, Any]) -> None:
    if flags & 0x0040:
        properties["timestamp"] = _SIZE.unpack_from(payload, at)[0]
        at += 8
    for name, flag in _LATE_TEXTS:
        if flags & flag:
            properties[name], at = _text_at(payload, at)
