"""A broker that is a folder, shared by every process that can reach it on this machine.

``filesystem:///absolute/folder`` or ``filesystem://folder/beside/me``. Each message is a file; a claim is a rename, so
it is atomic, and what a killed worker held is seen to be free by the lock that died with it. Messages survive
processes; with ``?fsync=true`` also the loss of power, at the price of speed. Waiting consumers are rung
(:mod:`umbel.doorbell`), they do not poll. For a few thousand messages a second; ``sqlite://`` is faster.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Transport
from umbel_transport_filesystem.transport import CAPABILITIES, FilesystemConsumer, FilesystemTransport

__all__ = ["FilesystemConsumer", "FilesystemTransport", "plugin_info", "umbel_transport"]

plugin_info = PluginInfo(
    kind="transport",
    names=("filesystem",),
    summary="a folder of files, shared by the processes of one machine",
    capabilities=CAPABILITIES,
    testing_url="filesystem://{folder}/broker",
)


@hookimpl
def umbel_transport(app: Any, url: str) -> Transport:
    """Make a transport into the folder that *url* names."""
    return FilesystemTransport(url)
