"""Coroutine tasks together on one event loop, other tasks in threads beside it."""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Pool, PoolOptions
from umbel_pool_asyncio._pool import AsyncioPool

__all__ = ["AsyncioPool", "plugin_info", "umbel_pool"]

plugin_info = PluginInfo(
    kind="pool",
    names=("asyncio",),
    summary="an event loop for `async def` tasks, threads for the others",
    capabilities=AsyncioPool.capabilities,
)


@hookimpl
def umbel_pool(app: Any, options: PoolOptions) -> Pool:
    """Make the pool that *options* describe."""
    return AsyncioPool(options)
