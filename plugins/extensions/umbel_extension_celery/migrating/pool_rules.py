"""Which pool a name of Celery's is."""

from __future__ import annotations

from typing import Final

from umbel.host import Host
from umbel_extension_celery.hosting import SAME_POOLS
from umbel_extension_celery.migrating.findings import Finding, Level

__all__ = ["judge_pool"]

_GREEN: Final = frozenset(
    {"eventlet", "gevent", "celery.concurrency.gevent:TaskPool", "celery.concurrency.eventlet:TaskPool"}
)


def judge_pool(name: str, file: str, line: int, host: Host) -> Finding:
    """Return what the pool *name* is on Umbel."""
    known = sorted(plugin.name for plugin in host.installed("pool"))
    target = SAME_POOLS.get(name, name)
    if name in _GREEN:
        advice = "there are no green threads: write async def tasks and use the pool asyncio, or use threads"
        return Finding(Level.CHANGE, "pool", name, advice, file, line)
    if target in known:
        return Finding(Level.MAPS, "pool", name, "" if target == name else f"the pool {target}", file, line)
    if ":" in name or "." in name:
        advice = "a pool of the project's own runs through an adapter"
        return Finding(Level.MAPS, "pool", name, advice, file, line)
    return Finding(Level.CHANGE, "pool", name, f"no such pool; installed: {', '.join(known)}", file, line)
