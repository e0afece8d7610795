"""A result store inside one process, for tests and for programs that only want threads.

``memory://`` is one space shared by the whole process, ``memory://name`` a space of its own, which lives as long as an
application that used it. Results disappear when their time is over, and with the process. Other processes (the children of the ``prefork`` pool among them) cannot reach
it. Those who wait are woken by the thread that stores; nothing polls.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import ResultBackend
from umbel_backend_memory.backend import CAPABILITIES, MemoryBackend

__all__ = ["MemoryBackend", "plugin_info", "umbel_backend"]

plugin_info = PluginInfo(
    kind="backend",
    names=("memory",),
    summary="results inside one process, for tests and thread pools",
    capabilities=CAPABILITIES,
    testing_url="memory://{unique}",
)


@hookimpl
def umbel_backend(app: Any, url: str) -> ResultBackend:
    """Make a result backend over the space that *url* names."""
    return MemoryBackend(url, app)
