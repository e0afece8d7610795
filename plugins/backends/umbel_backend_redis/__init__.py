"""Redis (6.2 and later, Valkey) as result store, under the keys and channels of Celery: ``redis://``, ``rediss://`` ...

Results are pushed: whoever waits is subscribed to the task's channel over one connection a process. With the Redis
transport on the same database, results, next messages and acknowledgements are one transaction.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import ResultBackend
from umbel_backend_redis.backend import CAPABILITIES, RedisBackend
from umbel_backend_redis.settings import RedisBackendSettings

__all__ = ["RedisBackend", "RedisBackendSettings", "plugin_info", "umbel_backend"]

plugin_info = PluginInfo(
    kind="backend",
    names=("redis", "rediss", "redis+socket", "sentinel", "redis+cluster", "rediss+cluster"),
    summary="Redis and Valkey, sharing results with Celery; waits by push",
    requires=("redis",),
    extra="redis",
    capabilities=CAPABILITIES,
    settings=RedisBackendSettings,
)


@hookimpl
def umbel_backend(app: Any, url: str) -> ResultBackend:
    """Return a result store for *url*; it connects when it is opened."""
    return RedisBackend(url, RedisBackendSettings.of(app))
