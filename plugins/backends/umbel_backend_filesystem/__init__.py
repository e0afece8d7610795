"""A result store that is a folder, shared by every process that can reach it on this machine.

``filesystem:///absolute/folder`` (or ``file:///...``, or ``filesystem://folder/beside/me``). Each result is a file,
replaced in one step, so a reader sees the old one or the new one whole. Those who wait are rung
(:mod:`umbel.doorbell`), they do not poll. With ``?fsync=true`` results survive the loss of power, at the price of speed.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import ResultBackend
from umbel_backend_filesystem.backend import CAPABILITIES, FilesystemBackend

__all__ = ["FilesystemBackend", "plugin_info", "umbel_backend"]

plugin_info = PluginInfo(
    kind="backend",
    names=("filesystem", "file"),
    summary="a folder of files, shared by the processes of one machine",
    capabilities=CAPABILITIES,
    testing_url="filesystem://{folder}/results",
)


@hookimpl
def umbel_backend(app: Any, url: str) -> ResultBackend:
    """Make a result backend over the folder that *url* names."""
    return FilesystemBackend(url)
