"""Jobs in processes that are forked ahead of time: the default pool.

A crash costs the one job that it hit; time limits kill one job; memory is shared with the parent until it is written.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Pool, PoolOptions
from umbel_pool_prefork._pool import PreforkPool

__all__ = ["PreforkPool", "plugin_info", "umbel_pool"]

plugin_info = PluginInfo(
    kind="pool",
    names=("prefork", "processes"),
    summary="processes forked ahead of time; isolates crashes, enforces time limits",
    requires=("billiard",),
    capabilities=PreforkPool.capabilities,
)


@hookimpl
def umbel_pool(app: Any, options: PoolOptions) -> Pool:
    """Make the pool that *options* describe."""
    return PreforkPool(options)
