"""Task messages: protocol 2 (headers and a body of three), and protocol 1 (all in the body). ``WIRE.md`` 1 and 2.

The worker routes, expires and revokes by the headers; only who runs the task decodes the body.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from umbel.exceptions import DecodeError, EncodeError, InvalidTaskError
from umbel.model import Message, TaskCall
from umbel.protocol.codec import Codec
from umbel.protocol.reprs import MAX_LENGTH, MAX_LEVELS, saferepr
from umbel.protocol.steps import EMBED, UnreadSteps, embed_of, split_body

__all__ = ["decode_body", "decode_plain_body", "encode_task", "normalize", "parse_time"]

#: What a complete set of headers holds, beside ``task`` and ``id``, and what stands for what is missing
#: (``root_id`` falls back to the id). ``stamps`` is a fresh dict each time.
_DEFAULTS: Final[dict[str, Any]] = {
    "lang": "py",
    "shadow": None,
    "eta": None,
    "expires": None,
    "group": None,
    "group_index": None,
    "retries": 0,
    "timelimit": None,
    "parent_id": None,
    "argsrepr": "",
    "kwargsrepr": "",
    "origin": None,
    "ignore_result": None,
    "replaced_task_nesting": 0,
    "stamped_headers": None,
}
#: The values of a complete set; ``KeyError`` for an incomplete one.
_values = itemgetter("retries", "timelimit", "task", "id", "root_id", "stamps", *_DEFAULTS)
_NO_LIMITS: Final = [None, None]


# -- writing ----------------------------------------------------------------------------------------------------------


def encode_task(
    call: TaskCall,
    codec: Codec,
    *,
    protocol: int = 2,
    origin: str | None = None,
    maxlevels: int | None = MAX_LEVELS,
    now: dt.datetime | None = None,
) -> Message:
    """Return the message of *call*.

    *origin* says who sends (``gen<pid>@<host>``), *maxlevels* is ``task_repr_maxlevels``, *now* the time from which the
    property ``expiration`` is counted. Raises :class:`~umbel.exceptions.EncodeError` for arguments that the serializer
    cannot hold, ``TypeError`` for arguments that are no sequence and mapping.
    """
    args, kwargs = _checked_arguments(call.args, call.kwargs)
    task_id = call.task_id
    if protocol == 2:
        headers = _headers(call, args, kwargs, origin, maxlevels)
        body, content_type, encoding = _body(call, args, kwargs, codec)
    elif protocol == 1:
        headers = {}
        body, content_type, encoding = codec.dumps(_protocol_1_body(call, args, kwargs), call.serializer)
    else:
        raise EncodeError(f"task_protocol must be 1 or 2, got {protocol!r}")
    if call.headers:
        headers.update(call.headers)
    if call.compression:
        body, headers["compression"] = codec.compress(body, call.compression)
    properties: dict[str, Any] = {
        "correlation_id": call.correlation_id or task_id,
        "reply_to": call.reply_to or "",
        "delivery_mode": call.delivery_mode,
    }
    if call.priority is not None:
        properties["priority"] = call.priority
    if call.expires is not None:
        properties["expiration"] = _expiration(call.expires, now)
    if call.properties:
        properties.update(call.properties)
    return Message(body, headers, properties, content_type, encoding)


def _checked_arguments(args: Any, kwargs: Any) -> tuple[Sequence[Any], dict[str, Any]]:
    if not isinstance(args, list | tuple):
        if isinstance(args, str | bytes) or not isinstance(args, Sequence | None):
            raise TypeError(f"positional arguments are a list or a tuple, got {saferepr(args, 80)}; for one: (value,)")
        args = tuple(args or ())
    if type(kwargs) is not dict:
        if not isinstance(kwargs, Mapping | None):
            raise TypeError(f"keyword arguments are a mapping, got {saferepr(kwargs, 80)}")
        kwargs = dict(kwargs or {})
    return args, kwargs


def _headers(
    call: TaskCall, args: Sequence[Any], kwargs: dict[str, Any], origin: str | None, maxlevels: int | None
) -> dict[str, Any]:
    argsrepr, kwargsrepr, stamps = call.argsrepr, call.kwargsrepr, call.stamps
    if argsrepr is None:
        argsrepr = saferepr(args, MAX_LENGTH, maxlevels) if args else "()"
    if kwargsrepr is None:
        kwargsrepr = saferepr(kwargs, MAX_LENGTH, maxlevels) if kwargs else "{}"
    return {
        "lang": "py",
        "task": call.name,
        "id": call.task_id,
        "shadow": call.shadow,
        "eta": None if call.eta is None else _as_text(call.eta),
        "expires": None if call.expires is None else _as_text(call.expires),
        "group": call.group_id,
        "group_index": call.group_index,
        "retries": call.retries,
        "timelimit": [call.time_limit_s, call.soft_time_limit_s],
        "root_id": call.root_id or call.task_id,
        "parent_id": call.parent_id,
        "argsrepr": argsrepr,
        "kwargsrepr": kwargsrepr,
        "origin": origin,
        "ignore_result": call.ignore_result,
        "replaced_task_nesting": call.replaced_task_nesting,
        "stamped_headers": None if call.stamped_headers is None else list(call.stamped_headers),
        "stamps": {name: stamps[name] for name in call.stamped_headers or () if name in stamps} if stamps else {},
    }


def _body(call: TaskCall, args: Sequence[Any], kwargs: dict[str, Any], codec: Codec) -> tuple[bytes, str, str]:
    embed = embed_of(call)
    if type(call.chain) is UnreadSteps:
        del embed["chain"]
        return codec.dumps_beside((args, kwargs, embed), "chain", call.chain, call.serializer)
    return codec.dumps((args, kwargs, embed), call.serializer)


def _protocol_1_body(call: TaskCall, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    callbacks = call.callbacks
    if call.chain:
        # Protocol 1 has no chain; a callback whose own callback is the next one says the same.
        callbacks = [*(callbacks or ()), _chain_as_links(call.chain)]
    return {
        "task": call.name,
        "id": call.task_id,
        "args": args,
        "kwargs": kwargs,
        "group": call.group_id,
        "group_index": call.group_index,
        "retries": call.retries,
        "eta": None if call.eta is None else _as_text(call.eta),
        "expires": None if call.expires is None else _as_text(call.expires),
        "utc": True,
        "callbacks": callbacks,
        "errbacks": call.errbacks,
        "timelimit": (call.time_limit_s, call.soft_time_limit_s),
        "taskset": call.group_id,
        "chord": call.chord,
    }


def _chain_as_links(chain: Iterable[Any]) -> Any:
    following: Any = None
    for signature in chain:  # last first
        current = dict(signature)
        if following is not None:
            options = dict(current.get("options") or {})
            options["link"] = [*(options.get("link") or ()), following]
            current["options"] = options
        following = current
    return following


def _as_text(time: dt.datetime) -> str:
    return (time if time.tzinfo is not None else time.replace(tzinfo=dt.UTC)).isoformat()


def _expiration(expires: dt.datetime, now: dt.datetime | None) -> str:
    if expires.tzinfo is None:
        expires = expires.replace(tzinfo=dt.UTC)
    left = (expires - (now or dt.datetime.now(dt.UTC))).total_seconds()
    return str(max(round(left * 1000), 0))


# -- reading ----------------------------------------------------------------------------------------------------------


def normalize(message: Message, codec: Codec, accept: frozenset[str] | None) -> Message:
    """Return *message* as protocol 2 with every header there and of its type; a complete one is returned as it is.

    Sparse headers (celery-node sends three) get their defaults. A message of protocol 1 is decoded and encoded anew.
    Raises :class:`~umbel.exceptions.InvalidTaskError` for what is no task message, and as :meth:`Codec.loads` does.
    """
    headers = message.headers
    if "task" not in headers:
        return _from_protocol_1(message, codec, accept)
    try:
        retries, limits, *_ = _values(headers)
    except KeyError:
        retries = limits = None
    if type(retries) is int and limits is not None:
        _check_headers(headers)
        return message
    headers = _completed(headers)
    return Message(message.body, headers, message.properties, message.content_type, message.content_encoding)


def _completed(headers: Mapping[str, Any]) -> dict[str, Any]:
    full = {**_DEFAULTS, "id": None, "root_id": headers.get("id"), "stamps": {}, **headers}
    full["timelimit"] = full["timelimit"] or [None, None]
    full["retries"] = _whole_number(full["retries"], "retries")
    _check_headers(full)
    return full


def _check_headers(headers: dict[str, Any]) -> None:
    task, task_id, limits = headers["task"], headers["id"], headers["timelimit"]
    if type(task) is not str or not task:
        raise InvalidTaskError(f"a task message has a name as its header 'task', got {saferepr(task, 80)}")
    if type(task_id) is not str or not task_id:
        raise InvalidTaskError(f"a message of task {task!r} has a text as its header 'id', got {saferepr(task_id, 80)}")
    if headers["eta"] is not None:
        parse_time(headers["eta"], "eta")
    if headers["expires"] is not None:
        parse_time(headers["expires"], "expires")
    if limits == _NO_LIMITS:
        return
    if not isinstance(limits, list | tuple) or len(limits) != 2 or not all(_is_limit(limit) for limit in limits):
        raise InvalidTaskError(
            f"the header 'timelimit' is [hard, soft] in seconds or nulls, got {saferepr(limits, 80)}"
        )


def _is_limit(limit: Any) -> bool:
    return limit is None or (isinstance(limit, int | float) and not isinstance(limit, bool))


def _whole_number(value: Any, name: str) -> int:
    if value is None:
        return 0
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidTaskError(f"the header {name!r} is a whole number, got {saferepr(value, 80)}") from None


def parse_time(value: Any, name: str) -> dt.datetime:
    """Return the header *name*, an ISO 8601 text, as an aware time; without an offset it is UTC.

    Raises :class:`~umbel.exceptions.InvalidTaskError` for anything else, years that no clock shows included.
    """
    time = _parse(value, name)
    return time if time.tzinfo is not None else time.replace(tzinfo=dt.UTC)


def _parse(value: Any, name: str) -> dt.datetime:
    try:
        time = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)
        time.timestamp()  # what a clock cannot show cannot be waited for
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidTaskError(
            f"the header {name!r} is a time in ISO 8601, got {saferepr(value, 80)}: {error}"
        ) from error
    return time


def _from_protocol_1(message: Message, codec: Codec, accept: frozenset[str] | None) -> Message:
    body = codec.loads(
        _bounded(_plain_body(message, codec), codec), message.content_type, message.content_encoding, accept
    )
    if not isinstance(body, dict) or "task" not in body or "id" not in body:
        raise InvalidTaskError(
            "no task message: neither the headers nor the body name a 'task' and an 'id'; "
            f"headers {saferepr(message.headers, 200)}, body {saferepr(body, 200)}"
        )
    args, kwargs, embed = _from_dict(body)
    headers = {name: value for name, value in message.headers.items() if name != "compression"}
    headers.update({name: body[name] for name in ("task", "id", "shadow", "parent_id") if name in body})
    headers.update(
        root_id=body.get("root_id") or body["id"],
        eta=_protocol_1_time(body, "eta"),
        expires=_protocol_1_time(body, "expires"),
        group=body.get("taskset") or body.get("group"),
        group_index=body.get("group_index"),
        retries=body.get("retries") or 0,
        timelimit=body.get("timelimit"),
        argsrepr=saferepr(args),
        kwargsrepr=saferepr(kwargs),
    )
    headers = _completed(headers)
    data = codec.dumps_as((args, kwargs, embed), message.content_type)
    return Message(data, headers, message.properties, message.content_type, message.content_encoding)


def _protocol_1_time(body: dict[str, Any], name: str) -> str | None:
    if body.get(name) is None:
        return None
    time = _parse(body[name], name)
    if time.tzinfo is None:
        # A sender with ``enable_utc`` off means its local time, which can only be taken to be ours.
        time = time.replace(tzinfo=dt.UTC) if body.get("utc", True) else time.astimezone()
    return time.isoformat()


def decode_body(
    message: Message, codec: Codec, accept: frozenset[str] | None, *, unread: bool = False
) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """Return arguments, keyword arguments and embed (always with its four keys) of a normalized *message*.

    With *unread* a long chain may be :class:`~umbel.protocol.steps.UnreadSteps`. Raises
    :class:`~umbel.exceptions.InvalidTaskError` for a body of another shape, and as :meth:`Codec.loads` does.
    """
    data = _plain_body(message, codec)
    return decode_plain_body(data, message.content_type, message.content_encoding, codec, accept, unread=unread)


def decode_plain_body(
    data: bytes,
    content_type: str,
    content_encoding: str,
    codec: Codec,
    accept: frozenset[str] | None,
    *,
    unread: bool = False,
) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """The same for a body that is not compressed."""
    split = split_body if unread else None
    body = codec.loads(_bounded(data, codec), content_type, content_encoding, accept, split)
    try:
        args, kwargs, embed = _from_dict(body) if type(body) is dict else body
    except (TypeError, ValueError):
        raise InvalidTaskError(
            f"the body of a task message is [args, kwargs, embed], got {saferepr(body, 200)}"
        ) from None
    if type(args) is not list:
        args = _checked_args(args)
    if type(kwargs) is not dict:
        kwargs = _checked_mapping(kwargs, "keyword arguments")
    if type(embed) is not dict:
        embed = _checked_mapping(embed, "embed")
    if not ("chord" in embed and "chain" in embed and "callbacks" in embed and "errbacks" in embed):
        embed = {**EMBED, **embed}
    return args, kwargs, embed


def _plain_body(message: Message, codec: Codec) -> bytes:
    compression = message.headers.get("compression")
    if not compression:
        return message.body
    if not isinstance(compression, str):
        raise DecodeError(f"the header 'compression' is a content type, got {saferepr(compression, 80)}")
    return codec.decompress(message.body, compression)


def _bounded(data: bytes, codec: Codec) -> bytes:
    most = codec.max_bytes
    if most is not None and len(data) > most:
        raise DecodeError(
            f"the body has {len(data)} bytes, and {most} are the most that is decoded (task_max_body_bytes): store "
            "large data elsewhere and send their address, or raise the setting"
        )
    return data


def _from_dict(body: dict[str, Any]) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """Split a protocol 1 body (or the mix of both protocols that old Celery 4 clients sent)."""
    if "args" not in body and "kwargs" not in body and "task" not in body:
        raise ValueError("no task in it")
    args = _checked_args(body.get("args"))
    kwargs = _checked_mapping(body.get("kwargs"), "keyword arguments")
    return args, kwargs, {name: body.get(name) for name in EMBED}


def _checked_args(args: Any) -> list[Any]:
    if args is None:
        return []
    if not isinstance(args, list | tuple):
        raise InvalidTaskError(f"positional arguments are a list, got {saferepr(args, 80)}")
    return list(args)


def _checked_mapping(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidTaskError(f"{name}: expected a mapping, got {saferepr(value, 80)}")
    return value
