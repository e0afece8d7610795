"""Results as documents, made from a request and the application's settings."""

from __future__ import annotations

import datetime as dt
import time
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

from umbel.exceptions import EncodeError, Retry
from umbel.model import TaskMeta
from umbel.protocol.results import ExtendedFields, encode_meta
from umbel.states import FAILURE, SUCCESS

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.context import Context

__all__ = ["MetaMaker"]

_LARGEST = 1 << 53


def _seconds(value: Any) -> float | None:
    """Return a lifetime in seconds; ``None`` and 0 mean for ever."""
    if isinstance(value, dt.timedelta):
        value = value.total_seconds()
    return float(value) if value else None


class MetaMaker:
    """Encodes the states of one application's tasks. Settings are read once; thread-safe."""

    def __init__(self, app: Umbel) -> None:
        conf = app.conf
        self._codec = app.codec
        self._serializer: str = conf.result_serializer
        self._compression: str | None = conf.result_compression
        self._is_extended: bool = conf.result_extended
        self._expires_s = _seconds(conf.result_expires)
        self._is_plain = self._serializer == "json" and not self._compression and not self._is_extended
        self._second: tuple[int, bytes] = (0, b"")  # one tuple: threads see a pair that belongs together
        failure = conf.result_failure_expires
        self._failure_expires_s = self._expires_s if failure is None else _seconds(failure)

    def make(self, request: Context, state: str, value: Any, traceback: str | None = None) -> TaskMeta:
        """Return the meta of *request* in *state*; *value* is its result, or its exception.

        Never raises for what a task returned or raised: an answer with the state FAILURE instead of SUCCESS says that
        *value* cannot be encoded.
        """
        children = request.children
        if state == SUCCESS and self._is_plain and not children and not request.group and not request.parent_id:
            meta = self._plain_success(request, value)
            if meta is not None:
                return meta
        if isinstance(value, Retry) and value.exc is None and value.excs is None:
            value = value.message or str(value)
        return encode_meta(
            request.id or "",
            state,
            value,
            self._codec,
            serializer=self._serializer,
            traceback=traceback,
            children=[_as_tuple(child) for child in children] if children else (),
            retries=request.retries,
            group_id=request.group,
            parent_id=request.parent_id,
            extended=self._extended(request) if self._is_extended else None,
            compression=self._compression,
            expires_s=self._failure_expires_s if state == FAILURE else self._expires_s,
            reply_to=request.reply_to or None,
        )

    def _plain_success(self, request: Context, value: Any) -> TaskMeta | None:
        """Write the commonest document of all around the encoded *value*; ``None`` when that cannot be encoded."""
        kind = type(value)
        if value is None:
            result = b"null"
        elif kind is int and -_LARGEST < value < _LARGEST:
            result = b"%d" % value
        else:
            try:
                result = self._codec.dumps(value, "json")[0]
            except EncodeError:
                return None
        done = self._now()
        task_id = request.id or ""
        payload = (
            b'{"status": "SUCCESS", "result": %b, "traceback": null, "children": [], "date_done": "%b", "task_id": %b}'
            % (result, done, encode_basestring_ascii(task_id).encode())
        )
        return TaskMeta(
            task_id,
            SUCCESS,
            payload,
            "application/json",
            "utf-8",
            request.retries,
            self._expires_s,
            request.reply_to or None,
        )

    def _now(self) -> bytes:
        """Return the time as ``datetime.isoformat`` writes it, at a fifth of the cost: once a second from scratch."""
        second, fraction = divmod(time.time_ns() // 1000, 1_000_000)
        known, text = self._second
        if second != known:
            text = dt.datetime.fromtimestamp(second, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
            self._second = (second, text)
        return b"%b.%06d+00:00" % (text, fraction)

    def _extended(self, request: Context) -> ExtendedFields:
        delivery = request.delivery_info or {}
        return ExtendedFields(
            name=request.task,
            args=request.args,
            kwargs=request.kwargs,
            worker=request.hostname,
            retries=request.retries,
            queue=delivery.get("routing_key"),
            stamped_headers=request.stamped_headers,
            stamps=request.stamps,
        )


def _as_tuple(child: Any) -> Any:
    as_tuple = getattr(child, "as_tuple", None)
    return as_tuple() if callable(as_tuple) else child
