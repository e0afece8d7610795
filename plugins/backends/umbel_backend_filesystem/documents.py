"""What is in the files: a line of JSON that describes, then the payload."""

from __future__ import annotations

import json
from typing import Any, Final

from umbel.model import ChordPart, TaskMeta

__all__ = ["decode_meta", "decode_part", "encode_meta", "encode_part"]

_MAGIC: Final = "umbel-result-1"


def encode_meta(meta: TaskMeta) -> bytes:
    """Return what is written for *meta*."""
    return _encode(
        meta.payload,
        id=meta.task_id,
        state=meta.state,
        content_type=meta.content_type,
        content_encoding=meta.content_encoding,
        attempt=meta.attempt,
        expires_s=meta.expires_s,
    )


def decode_meta(data: bytes) -> TaskMeta:
    """Read it back; ``ValueError`` for anything but a whole result."""
    head, payload = _decode(data)
    return TaskMeta(
        head["id"],
        head["state"],
        payload,
        head["content_type"],
        head["content_encoding"],
        head["attempt"],
        head["expires_s"],
    )


def encode_part(part: ChordPart) -> bytes:
    """Return what is written for *part*; the body is that of whoever completes the chord."""
    return _encode(part.payload, id=part.task_id, state=part.state, index=part.index, size=part.size, extra=part.extra)


def decode_part(data: bytes, group_id: str, body: bytes) -> ChordPart:
    """Read it back; ``ValueError`` for anything but a whole part."""
    head, payload = _decode(data)
    index, size, extra = head["index"], head["size"], head.get("extra", 0)
    return ChordPart(group_id, head["id"], index, head["state"], payload, body, size, extra=extra)


def _encode(payload: bytes, **head: Any) -> bytes:
    text = json.dumps({"format": _MAGIC, "bytes": len(payload), **head})
    return text.encode() + b"\n" + payload


def _decode(data: bytes) -> tuple[dict[str, Any], bytes]:
    line, found, payload = data.partition(b"\n")
    try:
        head = json.loads(line)
        if not found or head["format"] != _MAGIC or head["bytes"] != len(payload):
            raise ValueError("it is cut off, or of another program")
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"expected a file of umbel's filesystem results, got {line[:60]!r}: {error}") from error
    return head, payload
