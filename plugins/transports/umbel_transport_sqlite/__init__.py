"""Carries messages in an SQLite file: the transport that needs nothing installed and nothing started.

``sqlite://`` is the file of the application's name under the user's state directory, ``sqlite:///relative.db`` and
``sqlite:////absolute.db`` name one. Every process of this machine that names the same file shares its queues.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.sqlite_file import SqliteFile
from umbel_transport_sqlite.transport import SqliteTransport

__all__ = ["SqliteTransport", "plugin_info", "umbel_transport"]

plugin_info = PluginInfo(
    kind="transport",
    names=("sqlite",),
    summary="messages in an SQLite file, shared by all processes of this machine (the default)",
    capabilities=SqliteTransport.capabilities,
    testing_url="sqlite:///{folder}/broker.db",
)


@hookimpl
def umbel_transport(app: Any, url: str) -> SqliteTransport:
    """Make the transport for *url*. The file is opened by ``open``."""
    return SqliteTransport(SqliteFile.from_url(url, getattr(app, "main", None)))
