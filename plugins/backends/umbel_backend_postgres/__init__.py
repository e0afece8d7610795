"""Keeps results in PostgreSQL (12 and later): ``postgresql://``, ``postgres://``.

Who waits is told by the server. With the ``postgres`` transport on the same database, a task's result, the messages it
sends and its acknowledgement are one transaction.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel_backend_postgres.backend import PostgresBackend
from umbel_backend_postgres.settings import PostgresBackendSettings

__all__ = ["PostgresBackend", "PostgresBackendSettings", "plugin_info", "umbel_backend"]

plugin_info = PluginInfo(
    kind="backend",
    names=("postgresql", "postgres"),
    summary="results in tables of PostgreSQL; one transaction with the broker there",
    requires=("psycopg",),
    extra="postgres",
    capabilities=PostgresBackend.capabilities,
    settings=PostgresBackendSettings,
)


@hookimpl
def umbel_backend(app: Any, url: str) -> PostgresBackend:
    """Return a backend for *url*; it connects when it is opened."""
    return PostgresBackend(url, PostgresBackendSettings.of(app))
