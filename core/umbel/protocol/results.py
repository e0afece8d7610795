"""The documents that result backends keep, one a task: ``WIRE.md`` 5.1."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from umbel.exceptions import DecodeError, EncodeError, RemoteError, Retry, UmbelError
from umbel.model import TaskMeta
from umbel.protocol.codec import Codec
from umbel.protocol.exceptions import exception_from_wire, exception_to_wire
from umbel.protocol.reprs import saferepr
from umbel.states import EXCEPTION_STATES, FAILURE, READY_STATES, SUCCESS

__all__ = ["ExtendedFields", "ResultDocument", "decode_meta", "encode_meta"]

#: Celery 5.7 marks a compressed payload by this, the compressor's content type and a NUL: stores keep no headers.
_COMPRESSED: Final = b"\x00celery-compressed\x00"
_PICKLE: Final = "application/x-python-serialize"
_KNOWN: Final = frozenset(
    {"status", "result", "traceback", "children", "date_done", "group_id", "parent_id", "task_id"}
    | {"name", "args", "kwargs", "worker", "retries", "queue", "stamped_headers"}
)


@attrs.define(eq=False, kw_only=True)
class ExtendedFields:
    """What ``result_extended`` adds to a result. *queue* is the routing key; each stamp is kept by its own name."""

    name: str | None = None
    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None
    worker: str | None = None
    retries: int | None = None
    queue: str | None = None
    stamped_headers: Sequence[str] | None = None
    stamps: Mapping[str, Any] | None = None


@attrs.define(eq=False, kw_only=True)
class ResultDocument:
    """The state of a task as its store has it. *result* is an exception where *status* is RETRY, FAILURE or REVOKED.

    *children* are result tuples (``[[id, parent], None]``, groups ``[[id, parent], [children]]``). The fields from
    *name* on are there when the worker had ``result_extended``.
    """

    task_id: str
    status: str
    result: Any = None
    traceback: str | None = None
    children: Sequence[Any] | None = None
    date_done: dt.datetime | None = None
    group_id: str | None = None
    parent_id: str | None = None
    name: str | None = None
    args: Any = None
    kwargs: Any = None
    worker: str | None = None
    retries: int | None = None
    queue: str | None = None
    stamped_headers: Sequence[str] | None = None
    stamps: Mapping[str, Any] = attrs.field(factory=dict)


# -- writing ----------------------------------------------------------------------------------------------------------


def encode_meta(
    task_id: str,
    state: str,
    result: Any,
    codec: Codec,
    *,
    serializer: str = "json",
    traceback: str | None = None,
    children: Sequence[Any] | None = (),
    date_done: dt.datetime | None = None,
    retries: int = 0,
    group_id: str | None = None,
    parent_id: str | None = None,
    extended: ExtendedFields | None = None,
    compression: str | None = None,
    expires_s: float | None = None,
    reply_to: str | None = None,
) -> TaskMeta:
    """Return what a result backend stores of a task. *date_done* is kept of final states only (``None``: now).

    Never raises for what a task returned or raised. A return value that cannot be encoded makes the task a FAILURE
    with an :class:`~umbel.exceptions.EncodeError`: **the state of the answer says so**. In states that are not final,
    and everywhere else in the document, what cannot be encoded becomes text. Only an unknown *serializer* or
    *compression* is an error, of the host's.
    """
    done = None
    if state in READY_STATES:
        done = (date_done or dt.datetime.now(dt.UTC)).isoformat()
    if state in EXCEPTION_STATES:
        result = _exception_document(result, codec, serializer)
    document = {
        "status": state,
        "result": result,
        "traceback": traceback,
        "children": children if children is None else list(children),
        "date_done": done,
    }
    if group_id:
        document["group_id"] = group_id
    if parent_id:
        document["parent_id"] = parent_id
    if extended is not None:
        document.update(_extended_document(extended))
    document["task_id"] = task_id
    try:
        payload, content_type, encoding = codec.dumps(document, serializer)
    except EncodeError as error:
        payload, content_type, encoding = _dump_what_can_be(document, error, codec, serializer)
        state = document["status"]
    if compression:
        payload, scheme = codec.compress(payload, compression)
        payload = b"".join((_COMPRESSED, scheme.encode(), b"\x00", payload))
    return TaskMeta(task_id, state, payload, content_type, encoding, retries, expires_s, reply_to)


def _exception_document(result: Any, codec: Codec, serializer: str) -> Any:
    if isinstance(result, Retry):
        result = result.exc  # what is kept of a retry is why
    if not isinstance(result, BaseException):
        return result
    # A pickle can hold the exception itself; the framework's own are not Celery's to import.
    if codec.content_type(serializer) == _PICKLE and not _is_framework(result) and _survives(result, codec, serializer):
        return result
    return exception_to_wire(result)


def _is_framework(exc: BaseException) -> bool:
    return isinstance(exc, RemoteError) or type(exc).__module__ == UmbelError.__module__


def _survives(exc: BaseException, codec: Codec, serializer: str) -> bool:
    """Say whether *exc* comes out of a pickle as it went in (Celery's rule): many can be written and not read."""
    try:
        data, content_type, encoding = codec.dumps(exc, serializer)
        return type(codec.loads(data, content_type, encoding, frozenset({content_type}))) is type(exc)
    except (EncodeError, DecodeError):
        return False


def _extended_document(extended: ExtendedFields) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": extended.name,
        "args": extended.args,
        "kwargs": extended.kwargs,
        "worker": extended.worker,
        "retries": extended.retries,
        "queue": extended.queue,
    }
    if extended.stamps:
        names = list(extended.stamped_headers or ())
        document["stamped_headers"] = names
        document.update({name: extended.stamps[name] for name in names if name in extended.stamps})
    return document


def _dump_what_can_be(
    document: dict[str, Any], error: EncodeError, codec: Codec, serializer: str
) -> tuple[bytes, str, str]:
    """Replace, in place, what *serializer* cannot hold, and encode the rest."""

    def encodable(value: Any) -> bool:
        try:
            codec.dumps(value, serializer)
        except EncodeError:
            return False
        return True

    for name, value in document.items():
        if name != "result" and not encodable(value):
            document[name] = None if name == "children" else saferepr(value)
    _replace_result(document, error, encodable)
    try:
        return codec.dumps(document, serializer)
    except EncodeError:
        # The serializer takes each part and not the whole. Plain JSON of texts holds always, and says what it is.
        document["result"] = exception_to_wire(_refusal(document["task_id"], error))
        document["status"] = FAILURE if document["status"] == SUCCESS else document["status"]
        texts = {name: value if isinstance(value, str | dict) else None for name, value in document.items()}
        return json.dumps(texts, default=saferepr).encode(), "application/json", "utf-8"


def _replace_result(document: dict[str, Any], error: EncodeError, encodable: Callable[[Any], bool]) -> None:
    result = document["result"]
    if encodable(result):
        return
    as_tuple = getattr(type(result), "as_tuple", None)
    if callable(as_tuple):  # a task that returns the result of another: its tuple, as in ``children``
        document["result"] = as_tuple(result)
        if encodable(document["result"]):
            return
    if document["status"] in EXCEPTION_STATES and isinstance(result, dict) and "exc_message" in result:
        args = [arg if encodable(arg) else saferepr(arg) for arg in result["exc_message"]]
        document["result"] = {**result, "exc_message": args}
    elif document["status"] == SUCCESS:
        document["status"] = FAILURE
        document["result"] = exception_to_wire(_refusal(document["task_id"], error))
    else:
        document["result"] = saferepr(result)


def _refusal(task_id: str, error: EncodeError) -> EncodeError:
    return EncodeError(f"the result of task {task_id}: {error}")


# -- reading ----------------------------------------------------------------------------------------------------------


def decode_meta(meta: TaskMeta, codec: Codec, accept: frozenset[str] | None) -> ResultDocument:
    """Return the document of *meta*, exceptions rebuilt. *accept* is ``result_accept_content`` as content types.

    Raises :class:`~umbel.exceptions.DecodeError` (:class:`~umbel.exceptions.ContentDisallowed`) for a payload that is
    no result, compressed beyond the codec's bound, or of a type that is not accepted.
    """
    payload = meta.payload
    if payload.startswith(_COMPRESSED):
        scheme, _, payload = payload[len(_COMPRESSED) :].partition(b"\x00")
        payload = codec.decompress(payload, scheme.decode("ascii", "replace"))
    document = codec.loads(payload, meta.content_type, meta.content_encoding, accept)
    if not isinstance(document, dict) or not isinstance(document.get("status"), str):
        raise DecodeError(f"a result is a mapping with a 'status', got {saferepr(document, 200)}")
    result = document.get("result")
    if document["status"] in EXCEPTION_STATES and result is not None:
        result = exception_from_wire(result)
    return ResultDocument(
        task_id=document.get("task_id") or meta.task_id,
        status=document["status"],
        result=result,
        traceback=document.get("traceback"),
        children=document.get("children"),
        date_done=_time(document.get("date_done")),
        group_id=document.get("group_id"),
        parent_id=document.get("parent_id"),
        name=document.get("name"),
        args=document.get("args"),
        kwargs=document.get("kwargs"),
        worker=document.get("worker"),
        retries=document.get("retries"),
        queue=document.get("queue"),
        stamped_headers=document.get("stamped_headers"),
        stamps=_stamps(document),
    )


def _time(value: Any) -> dt.datetime | None:
    """Read ``date_done``; a damaged one must not hide the result beside it."""
    try:
        time = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=dt.UTC)


def _stamps(document: dict[str, Any]) -> dict[str, Any]:
    names = document.get("stamped_headers")
    if not isinstance(names, list | tuple):
        return {}
    return {name: document[name] for name in names if name in document and name not in _KNOWN}
