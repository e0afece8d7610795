"""RabbitMQ (3.10 to 4) as broker, with Celery's topology: ``amqp://``, ``amqps://``, ``pyamqp://``.

Stands on kombu's connections and py-amqp's channels. Publishing is confirmed, a batch at a time; messages that are
not due wait in the broker (kombu's native delayed delivery); several URLs, separated by ``;``, are tried in turn.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Transport
from umbel_transport_amqp.outbox import outbox_of
from umbel_transport_amqp.settings import AmqpSettings
from umbel_transport_amqp.transport import CAPABILITIES, AmqpTransport

__all__ = ["AmqpSettings", "AmqpTransport", "plugin_info", "umbel_transport"]

plugin_info = PluginInfo(
    kind="transport",
    names=("amqp", "amqps", "pyamqp"),
    summary="RabbitMQ, sharing queues with Celery; confirmed batches, delays in the broker",
    requires=("amqp", "kombu"),
    extra="amqp",
    capabilities=CAPABILITIES,
    settings=AmqpSettings,
)


@hookimpl
def umbel_transport(app: Any, url: str) -> Transport:
    """Return a transport for *url*; it connects when it is opened."""
    settings = AmqpSettings.of(app)
    return AmqpTransport(url, settings, lambda: outbox_of(app, url, settings))
