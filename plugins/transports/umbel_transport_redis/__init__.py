"""Redis (6.2 and later, Valkey) as broker, on Celery's wire: ``redis://``, ``rediss://``, ``redis+socket://``,
``sentinel://``, ``redis+cluster://`` and ``rediss+cluster://``.

Messages lie in the lists that Celery uses, in the envelope that Celery writes, so that workers and clients of both
kinds share a queue. Beneath, Umbel keeps what Celery does not: a claim moves a batch of messages from the lists into
its consumer's own hash in one script, under a lease, so that no message ever lives in a process's memory alone.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Transport
from umbel_transport_redis.settings import RedisTransportSettings
from umbel_transport_redis.transport import CAPABILITIES, RedisTransport

__all__ = ["RedisTransport", "RedisTransportSettings", "plugin_info", "umbel_transport"]

plugin_info = PluginInfo(
    kind="transport",
    names=("redis", "rediss", "redis+socket", "sentinel", "redis+cluster", "rediss+cluster"),
    summary="Redis and Valkey, sharing queues with Celery; atomic claims under leases",
    requires=("redis",),
    extra="redis",
    capabilities=CAPABILITIES,
    settings=RedisTransportSettings,
)


@hookimpl
def umbel_transport(app: Any, url: str) -> Transport:
    """Return a transport for *url*; it connects when it is opened."""
    return RedisTransport(url, RedisTransportSettings.of(app))
