"""Every other broker that kombu speaks to: Amazon SQS, SQL databases, MongoDB, Kafka, Google Pub/Sub, Azure, and more.

Each has its own URL scheme, and what it can do is told by its own capabilities. ``kombu+SCHEME://`` reaches kombu's
transport of that name also where Umbel has one of its own; ``kombu+package.module.Class://`` one of somebody else.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Transport, TransportCapabilities
from umbel_transport_kombu.settings import KombuSettings
from umbel_transport_kombu.transport import KombuTransport, make_transport
from umbel_transport_kombu.variants import NAMES

__all__ = ["KombuSettings", "KombuTransport", "plugin_info", "umbel_transport"]

plugin_info = PluginInfo(
    kind="transport",
    names=NAMES,
    summary="SQS, SQL databases, MongoDB, Kafka and whatever else kombu speaks to, each with its own capabilities",
    requires=("kombu",),
    capabilities=TransportCapabilities(),
    settings=KombuSettings,
)


@hookimpl
def umbel_transport(app: Any, url: str) -> Transport:
    """Return a transport for *url*; it connects when it is opened."""
    return make_transport(url, KombuSettings.of(app))
