"""Where messages go: exchanges and queues, as plain data that every transport understands."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["Exchange", "Queue"]


@attrs.frozen(kw_only=True)
class Exchange:
    """A place to publish to. *kind* is ``direct``, ``topic``, ``fanout`` or ``headers``; ``""`` is the default exchange."""

    name: str = ""
    kind: str = "direct"
    durable: bool = True
    auto_delete: bool = False
    delivery_mode: int | None = None
    arguments: dict[str, Any] = attrs.field(factory=dict, eq=False)

    @property
    def type(self) -> str:
        """Celery's name of *kind*."""
        return self.kind


@attrs.frozen(kw_only=True)
class Queue:
    """A queue and its binding to an exchange.

    Without *exchange* and *routing_key* the queue is reached by its own name, through a direct exchange of that name
    (A355). Times are seconds.
    """

    name: str
    exchange: Exchange = attrs.field(default=attrs.Factory(lambda self: Exchange(name=self.name), takes_self=True))
    routing_key: str = attrs.field(default=attrs.Factory(lambda self: self.name, takes_self=True))
    bindings: tuple[tuple[Exchange, str], ...] = ()
    durable: bool = True
    exclusive: bool = False
    auto_delete: bool = False
    no_ack: bool = False
    alias: str | None = None
    expires_s: float | None = None
    message_ttl_s: float | None = None
    max_length: int | None = None
    max_priority: int | None = None
    queue_arguments: dict[str, Any] = attrs.field(factory=dict, eq=False)
    binding_arguments: dict[str, Any] = attrs.field(factory=dict, eq=False)
    consumer_arguments: dict[str, Any] = attrs.field(factory=dict, eq=False)
