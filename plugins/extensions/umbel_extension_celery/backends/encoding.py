"""How a result backend of Celery's shape encodes what it keeps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from umbel import states
from umbel.protocol.exceptions import exception_from_wire, exception_to_wire
from umbel.urls import mask_url

__all__ = ["ResultEncoding"]


class ResultEncoding:
    """The form of results: serializer, lifetime, exceptions as documents."""

    READY_STATES = states.READY_STATES
    UNREADY_STATES = states.UNREADY_STATES
    EXCEPTION_STATES = states.EXCEPTION_STATES
    persistent = True

    def __init__(
        self,
        app: Any,
        serializer: str | None = None,
        max_cached_results: int | None = None,
        accept: Sequence[str] | None = None,
        expires: float | dt.timedelta | None = None,
        expires_type: Callable[[float], Any] | None = None,
        url: str | None = None,
        **_: Any,
    ) -> None:
        self.app = app
        conf = app.conf
        self.serializer = serializer or conf.result_serializer
        self.expires = self.prepare_expires(expires, expires_type)
        self.accept = conf.result_accept_content or conf.accept_content if accept is None else accept
        self.always_retry = conf.result_backend_always_retry
        self.url = url

    # -- form ---------------------------------------------------------------------------------------------------------

    def as_uri(self, include_password: bool = False) -> str:
        """Return the store's address; its password masked."""
        if not self.url:
            return type(self).__name__
        return self.url if include_password else mask_url(self.url)

    def prepare_expires(self, value: Any, type: Callable[[float], Any] | None = None) -> Any:
        """Return a lifetime in seconds, in *type*; the setting ``result_expires`` for ``None``."""
        if value is None:
            value = self.app.conf.result_expires
        if isinstance(value, dt.timedelta):
            value = value.total_seconds()
        return type(value) if value is not None and type is not None else value

    def prepare_persistent(self, enabled: bool | None = None) -> bool:
        """Return whether results survive a restart of the broker."""
        return self.persistent if enabled is None else enabled

    # -- encoding -----------------------------------------------------------------------------------------------------

    def _encode(self, data: Any) -> tuple[str, str, Any]:
        payload, content_type, encoding = self.app.codec.dumps(data, self.serializer)
        return content_type, encoding, payload if encoding == "binary" else payload.decode(encoding or "utf-8")

    def encode(self, data: Any) -> Any:
        """Return *data* as the store keeps it."""
        return self._encode(data)[2]

    def decode(self, payload: Any) -> Any:
        """Return what :meth:`encode` was given."""
        if payload is None:
            return None
        data = payload.encode() if isinstance(payload, str) else payload
        serializer = self.app.host.serializer(self.serializer)
        accepted = self.app.codec.content_types(self.accept)
        return self.app.codec.loads(data, serializer.content_type, serializer.content_encoding, accepted)

    def encode_result(self, result: Any, state: str) -> Any:
        """Return *result* ready for :meth:`encode`: an exception as its document."""
        if state in self.EXCEPTION_STATES and isinstance(result, BaseException):
            return self.prepare_exception(result)
        return self.prepare_value(result)

    def prepare_value(self, result: Any) -> Any:
        """Return a result's tuple for a result, anything else as it is."""
        return result.as_tuple() if self.serializer != "pickle" and hasattr(result, "as_tuple") else result

    def prepare_exception(self, exc: BaseException, serializer: str | None = None) -> Any:
        """Return the document of an exception (the exception itself for pickle)."""
        return exc if (serializer or self.serializer) == "pickle" else exception_to_wire(exc)

    def exception_to_python(self, exc: Any) -> Any:
        """Return the exception that a document tells of."""
        return exception_from_wire(exc) if isinstance(exc, Mapping) else exc

    def meta_from_decoded(self, meta: dict[str, Any]) -> dict[str, Any]:
        """Return *meta* with its exception rebuilt."""
        if meta.get("status") in self.EXCEPTION_STATES:
            meta["result"] = self.exception_to_python(meta.get("result"))
        return meta
