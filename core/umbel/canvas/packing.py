"""The form in which values of a workflow are kept in the result store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["pack", "unpack"]

_JSON: Final = "application/json"


def pack(app: Umbel, value: object, serializer: str) -> bytes:
    """Return *value* as JSON, or in another serializer's form behind its content type."""
    data, content_type, _ = app.codec.dumps(value, serializer)
    return data if content_type == _JSON else b"\x00" + content_type.encode() + b"\x00" + data


def unpack(app: Umbel, payload: bytes, accepted: frozenset[str] | None = None) -> Any:
    """Return what :func:`pack` packed, if its content type is *accepted* (by itself: what is accepted for results)."""
    content_type = _JSON
    if payload.startswith(b"\x00"):
        name, _, payload = payload[1:].partition(b"\x00")
        content_type = name.decode("ascii", "replace")
    return app.codec.loads(payload, content_type, "", app.results.accepted if accepted is None else accepted)
