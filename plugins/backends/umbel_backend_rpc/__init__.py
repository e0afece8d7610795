"""Results as messages to their caller, over the broker itself: ``rpc://``, as Celery's.

Nothing is stored: a worker sends each result to the queue that the call named in ``reply_to``, and the process that made
the call, and no other, gets it. The messages are Celery's, so callers and workers of both kinds understand each other.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import ResultBackend
from umbel_backend_rpc.backend import CAPABILITIES, RpcBackend

__all__ = ["RpcBackend", "plugin_info", "umbel_backend"]

plugin_info = PluginInfo(
    kind="backend",
    names=("rpc",),
    summary="results as messages to their caller, over the broker; nothing is stored",
    capabilities=CAPABILITIES,
)


@hookimpl
def umbel_backend(app: Any, url: str) -> ResultBackend:
    """Return a backend over the broker of *app*; it connects when it is opened."""
    return RpcBackend(app)
