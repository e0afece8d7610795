"""The options of a call, by Celery's names, and how they become a :class:`~umbel.model.TaskCall`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypedDict

from umbel.calling.ids import new_id
from umbel.calling.links import as_signatures
from umbel.calling.times import absolute_eta, absolute_expiry
from umbel.context import Frame, top_frame
from umbel.model import TaskCall
from umbel.protocol.steps import UnreadSteps
from umbel.suggestions import suggest

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.task import Task

__all__ = ["CallOptions", "build_call", "check_arguments", "check_options", "check_priority"]


class CallOptions(TypedDict, total=False):
    """Every option of ``apply_async``; ``docs/reference/calling.md`` says what each does."""

    task_id: str | None
    countdown: float | dt.timedelta | None
    eta: dt.datetime | str | None
    expires: float | dt.timedelta | dt.datetime | str | None
    shadow: str | None
    connection: Any
    producer: Any
    publisher: Any
    connect_timeout: float | None
    retry: bool | None
    retry_policy: Mapping[str, Any] | None
    timeout: float | None
    confirm_timeout: float | None
    time_limit: float | None
    soft_time_limit: float | None
    queue: Any
    exchange: Any
    exchange_type: str | None
    routing_key: str | None
    declare: Sequence[Any] | None
    priority: int | None
    serializer: str | None
    compression: str | None
    link: Any
    link_error: Any
    add_to_parent: bool
    ignore_result: bool | None
    headers: Mapping[str, Any] | None
    properties: Mapping[str, Any] | None
    stamped_headers: Sequence[str] | None
    stamps: Mapping[str, Any] | None
    group_id: str | None
    group_index: int | None
    root_id: str | None
    parent_id: str | None
    chord: Any
    chain: Sequence[Any] | None
    reply_to: str | None
    retries: int
    delivery_mode: int | str | None
    mandatory: bool
    immediate: bool
    correlation_id: str | None
    expiration: float | None
    argsrepr: str | None
    kwargsrepr: str | None
    replaced_task_nesting: int
    app_id: str | None
    user_id: str | None
    message_id: str | None
    type: str | None
    result_cls: Any


_KNOWN: Final = frozenset(CallOptions.__annotations__)
#: AMQP's own message properties: they travel as they are.
_PASSED_ON: Final = ("app_id", "user_id", "message_id", "type", "mandatory", "immediate")
_PERSISTENT: Final = 2
_DELIVERY_MODES: Final = {"persistent": _PERSISTENT, "transient": 1}
_HIGHEST: Final = 9
#: Option -> field of TaskCall, for those that are taken over as they are.
_PLAIN: Final = {
    "task_id": "task_id",
    "shadow": "shadow",
    "time_limit": "time_limit_s",
    "soft_time_limit": "soft_time_limit_s",
    "serializer": "serializer",
    "compression": "compression",
    "ignore_result": "ignore_result",
    "headers": "headers",
    "group_id": "group_id",
    "group_index": "group_index",
    "root_id": "root_id",
    "parent_id": "parent_id",
    "chord": "chord",
    "reply_to": "reply_to",
    "retries": "retries",
    "correlation_id": "correlation_id",
    "argsrepr": "argsrepr",
    "kwargsrepr": "kwargsrepr",
    "replaced_task_nesting": "replaced_task_nesting",
}


def check_options(options: Mapping[str, Any], callee: str) -> None:
    """Refuse options that nothing knows; *callee* is for the error's text."""
    unknown = options.keys() - _KNOWN - frozenset(options.get("stamped_headers") or ())
    if unknown:
        name = min(unknown)
        raise TypeError(
            f"{callee}: unknown option {name!r}{suggest(name, _KNOWN)}; arguments of the task itself go into "
            f"args=(...) and kwargs={{...}}, a broker's own message properties into properties={{...}}"
        )


def check_arguments(name: str, args: Any, kwargs: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return positional and keyword arguments as given, ``None`` made empty; ``ValueError`` for other types (B1072)."""
    if args is None:
        args = ()
    elif not isinstance(args, list | tuple):
        raise ValueError(
            f"task {name}: args: expected a list or a tuple, got {type(args).__name__}; one argument is args=(value,)"
        )
    if kwargs is None:
        kwargs = {}
    elif not isinstance(kwargs, Mapping):
        raise ValueError(f"task {name}: kwargs: expected a dict, got {type(kwargs).__name__}")
    return args, kwargs


def build_call(
    app: Umbel,
    task: Task[..., Any] | None,
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> TaskCall:
    """Return the call that *options* (the route's already merged in) ask for, with its times made absolute.

    Precedence: *options*, then the task's attributes, then the settings. Inside a running task the call inherits its
    ``root_id`` and has it as ``parent_id``.
    """
    call = TaskCall(name, new_id(), args, kwargs)
    frame = top_frame()
    if frame is not None and frame.request.id is not None:
        call.parent_id = frame.request.id
        call.root_id = frame.request.root_id or frame.request.id
    _apply_task(app, call, task)
    if task is not None and task.has_shadow_name:
        call.shadow = task.shadow_name(args, kwargs, options)
    if options:
        _apply_options(app, call, options)
    if call.priority is None:
        call.priority = _fallback_priority(app, frame)
    if call.reply_to is None:
        call.reply_to = app.reply_to
    return call


def _apply_task(app: Umbel, call: TaskCall, task: Task[..., Any] | None) -> None:
    """Fill in what the task's attributes and the settings say."""
    if task is None:
        conf = app.conf
        call.serializer = conf.task_serializer
        call.compression = conf.task_compression
        call.delivery_mode = _delivery_mode(conf.task_default_delivery_mode)
        return
    call.serializer = task.serializer
    call.compression = task.compression
    call.ignore_result = task.ignore_result
    call.priority = task.priority
    call.time_limit_s = task.time_limit
    call.soft_time_limit_s = task.soft_time_limit
    call.delivery_mode = _delivery_mode(task.delivery_mode)
    if task.expires is not None:
        call.expires = absolute_expiry(task.expires, app.now(), app.naive_zone)


def _apply_options(app: Umbel, call: TaskCall, options: Mapping[str, Any]) -> None:
    """Let *options* stand over what was filled in; an option that is ``None`` leaves it."""
    for option, field in _PLAIN.items():
        value = options.get(option)
        if value is not None:
            setattr(call, field, value)
    _apply_times(app, call, options)
    mode = options.get("delivery_mode")
    if mode is not None:
        call.delivery_mode = _delivery_mode(mode)
    if (priority := options.get("priority")) is not None:
        call.priority = check_priority(priority)
    call.callbacks = as_signatures(options.get("link"))
    call.errbacks = as_signatures(options.get("link_error"))
    chain = options.get("chain")
    call.chain = (chain if type(chain) is UnreadSteps else list(chain)) if chain else None
    _apply_stamps(call, options)
    properties = {name: options[name] for name in _PASSED_ON if options.get(name)}
    properties.update(options.get("properties") or ())
    if properties:
        call.properties = properties


def _apply_times(app: Umbel, call: TaskCall, options: Mapping[str, Any]) -> None:
    """Make ``countdown``, ``eta``, ``expires`` and ``expiration`` absolute."""
    countdown, eta = options.get("countdown"), options.get("eta")
    expires = options.get("expires")
    if expires is None:
        expires = options.get("expiration")
    if countdown is None and eta is None and expires is None:
        return
    now, naive_zone = app.now(), app.naive_zone
    call.eta = absolute_eta(countdown, eta, now, naive_zone)
    if expires is not None:
        call.expires = absolute_expiry(expires, now, naive_zone)


def _apply_stamps(call: TaskCall, options: Mapping[str, Any]) -> None:
    """Take stamps from ``stamps={...}`` and from options named in ``stamped_headers``."""
    names = options.get("stamped_headers")
    stamps = dict(options.get("stamps") or ())
    stamps.update({name: options[name] for name in names or () if name in options})
    if names or stamps:
        call.stamped_headers = sorted({*(names or ()), *stamps})
        call.stamps = stamps


def check_priority(priority: Any) -> int:
    """Return *priority* when it is a whole number from 0 to 9."""
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= _HIGHEST:
        raise ValueError(f"priority: expected a whole number from 0 (last) to 9 (first), got {priority!r}")
    return priority


def _fallback_priority(app: Umbel, frame: Frame | None) -> int | None:
    """Return the running task's priority where children inherit it, else the setting's."""
    conf = app.conf
    if frame is not None and conf.task_inherit_parent_priority:
        info = frame.request.delivery_info
        if info is not None and info.get("priority") is not None:
            return int(info["priority"])
    priority: int | None = conf.task_default_priority
    return priority


def _delivery_mode(mode: int | str | None) -> int:
    """Return 2 (persistent) or 1 (transient)."""
    if mode == _PERSISTENT or mode is None:
        return _PERSISTENT
    found = _DELIVERY_MODES.get(mode, mode) if isinstance(mode, str) else mode
    if found not in _DELIVERY_MODES.values():
        raise ValueError(f"delivery_mode: expected 'persistent' (2) or 'transient' (1), got {mode!r}")
    return int(found)
