"""What settling a delivery means in commands."""

from __future__ import annotations

from typing import Any

from umbel.model import Delivery, Settlement
from umbel_transport_redis.envelope import redelivered
from umbel_transport_redis.topology import Names

__all__ = ["finished_fields", "put_back_arguments"]


def finished_fields(settlement: Settlement) -> dict[str, list[str]]:
    """Return, for each consumer, the fields of its hash that are done with (a broadcast has none)."""
    fields: dict[str, list[str]] = {}
    for deliveries in (settlement.acks, settlement.rejects):
        for delivery in deliveries:
            if delivery.tag is not None:
                fields.setdefault(delivery.tag[0], []).append(delivery.tag[1])
    return fields


def put_back_arguments(names: Names, settlement: Settlement) -> dict[str, list[Any]]:
    """Return, for each consumer, the arguments of the script ``PUT_BACK``."""
    arguments: dict[str, list[Any]] = {}
    for delivery in reversed(settlement.requeues):  # each goes before the one put back before it
        if delivery.tag is not None:
            arguments.setdefault(delivery.tag[0], []).extend(_move(names, delivery, settlement))
    return arguments


def _move(names: Names, delivery: Delivery, settlement: Settlement) -> tuple[Any, ...]:
    _, field, raw = delivery.tag
    value = raw if settlement.uncounted else redelivered(raw)
    home = field.partition(":")[2]
    if settlement.requeue_at is None:
        return field, home, "", value
    step = names.lists(delivery.queue).index(home) + 1
    return field, names.delayed(delivery.queue), int(settlement.requeue_at * 1000), b"%d%b" % (step, value)
