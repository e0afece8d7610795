"""A task call on its way to becoming a message: every field that ``WIRE.md`` 1 knows, resolved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

__all__ = ["TaskCall"]


@attrs.define(eq=False)
class TaskCall:
    """One call of one task, with its times absolute and its route still open.

    *eta* and *expires* are aware datetimes. *callbacks*, *errbacks*, *chain* (what follows, **last first**) and *chord*
    are signatures as plain dicts. *time_limit_s* is the hard limit, *soft_time_limit_s* the soft one. *headers* are
    the caller's own and travel flat among the others; *properties* likewise among the message's properties.
    """

    name: str
    task_id: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = attrs.field(factory=dict)
    eta: dt.datetime | None = None
    expires: dt.datetime | None = None
    retries: int = 0
    shadow: str | None = None
    group_id: str | None = None
    group_index: int | None = None
    root_id: str | None = None
    parent_id: str | None = None
    callbacks: Sequence[Any] | None = None
    errbacks: Sequence[Any] | None = None
    chain: Iterable[Any] | None = None
    chord: Any = None
    time_limit_s: float | None = None
    soft_time_limit_s: float | None = None
    ignore_result: bool | None = None
    reply_to: str | None = None
    correlation_id: str | None = None
    serializer: str = "json"
    compression: str | None = None
    priority: int | None = None
    delivery_mode: int = 2
    replaced_task_nesting: int = 0
    stamped_headers: Sequence[str] | None = None
    stamps: Mapping[str, Any] | None = None
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    headers: Mapping[str, Any] | None = None
    properties: Mapping[str, Any] | None = None
