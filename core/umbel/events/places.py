"""Where events go, and the queue of one who listens to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umbel.calling.ids import new_id
from umbel.exceptions import ImproperlyConfigured
from umbel.model import Exchange, Queue
from umbel.spi import TransportCapabilities

if TYPE_CHECKING:
    from umbel.settings import Configuration

__all__ = ["event_exchange", "event_queue", "scratch_queue"]

#: How long a queue lives that is declared for its exchange's sake and deleted at once.
_SCRATCH_S = 10.0


def event_exchange(conf: Configuration, capabilities: TransportCapabilities) -> Exchange:
    """Return the exchange of events, in the kind that Celery declares it on such a transport.

    It routes by topics, except where broadcasts are channels that keep nothing (Redis): there it is a fan-out, whose
    channels have the routing key in their name.
    """
    kind = "topic" if capabilities.keeps_broadcasts else "fanout"
    return Exchange(name=conf.event_exchange, kind=kind)


def event_queue(
    conf: Configuration, capabilities: TransportCapabilities, routing_key: str, node_id: str, **options: Any
) -> Queue:
    """Return the queue of one listener. It goes with him, or when he has been silent for ``event_queue_expires``.

    *options*: ``prefix``, ``message_ttl_s``, ``expires_s``, ``exclusive`` and ``durable`` instead of the settings.
    """

    def chosen(name: str, setting: str) -> Any:
        given = options.get(name)
        return getattr(conf, setting) if given is None else given

    exclusive, durable = chosen("exclusive", "event_queue_exclusive"), chosen("durable", "event_queue_durable")
    if exclusive and durable:
        raise ImproperlyConfigured(
            "a queue of events cannot be both exclusive and durable: set event_queue_exclusive or event_queue_durable "
            "to false"
        )
    return Queue(
        name=f"{chosen('prefix', 'event_queue_prefix')}.{node_id}",
        exchange=event_exchange(conf, capabilities),
        routing_key=routing_key,
        durable=durable,
        exclusive=exclusive,
        auto_delete=not durable,
        no_ack=True,
        expires_s=float(chosen("expires_s", "event_queue_expires")),
        message_ttl_s=float(chosen("message_ttl_s", "event_queue_ttl")),
    )


def scratch_queue(conf: Configuration, capabilities: TransportCapabilities) -> Queue:
    """Return a queue whose declaration makes the exchange known to the broker; it is to be deleted at once."""
    return Queue(
        name=f"{conf.event_queue_prefix}.{new_id()}",
        exchange=event_exchange(conf, capabilities),
        routing_key="umbel.none",
        durable=False,
        auto_delete=True,
        expires_s=_SCRATCH_S,
        message_ttl_s=0.001,
    )
