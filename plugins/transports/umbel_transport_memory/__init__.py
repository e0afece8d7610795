"""A broker inside one process, for tests and for programs that only want threads.

``memory://`` is one space shared by the whole process, ``memory://name`` a space of its own, which lives as long as an
application that used it. Nothing is written down, and other processes (the children of the ``prefork`` pool among
them) cannot reach it. Use the pools ``threads``, ``asyncio`` or ``solo``. Consumers wait on condition variables; nothing polls.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Transport
from umbel_transport_memory.transport import CAPABILITIES, MemoryConsumer, MemoryTransport

__all__ = ["MemoryConsumer", "MemoryTransport", "plugin_info", "umbel_transport"]

plugin_info = PluginInfo(
    kind="transport",
    names=("memory",),
    summary="queues inside one process, for tests and thread pools",
    capabilities=CAPABILITIES,
    testing_url="memory://{unique}",
)


@hookimpl
def umbel_transport(app: Any, url: str) -> Transport:
    """Make a transport into the space that *url* names."""
    return MemoryTransport(url, app)
