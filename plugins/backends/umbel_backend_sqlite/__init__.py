"""Keeps results in an SQLite file: the result backend that needs nothing installed and nothing started.

``sqlite://`` is the file of the application's name under the user's state directory, ``sqlite:///relative.db`` and
``sqlite:////absolute.db`` name one. With the ``sqlite`` transport on the same file, a task's result, the messages it
sends and its acknowledgement are one transaction.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.sqlite_file import SqliteFile
from umbel_backend_sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend", "plugin_info", "umbel_backend"]

plugin_info = PluginInfo(
    kind="backend",
    names=("sqlite",),
    summary="results in an SQLite file, shared by all processes of this machine (the default)",
    capabilities=SqliteBackend.capabilities,
    testing_url="sqlite:///{folder}/results.db",
)


@hookimpl
def umbel_backend(app: Any, url: str) -> SqliteBackend:
    """Make the backend for *url*. The file is opened by ``open``."""
    return SqliteBackend(SqliteFile.from_url(url, getattr(app, "main", None)))
