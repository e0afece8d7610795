"""What a router is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

__all__ = ["Route", "RouteQuery"]


@attrs.define(eq=False)  # made for every call that is sent
class RouteQuery:
    """A call that looks for its queue: the task's *name*, its arguments, and the options given so far."""

    name: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = attrs.field(factory=dict)
    options: Mapping[str, Any] = attrs.field(factory=dict)
    task: Any = None


@attrs.frozen
class Route:
    """Where a call goes. *options* holds any other sending option (``priority``, ``serializer``, ``expires`` ...)."""

    queue: str | None = None
    exchange: str | None = None
    exchange_type: str | None = None
    routing_key: str | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict)
