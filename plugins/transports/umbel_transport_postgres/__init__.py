"""PostgreSQL (12 and later) as broker: ``postgresql://``, ``postgres://``.

Messages lie in tables of a schema of their own. Consumers claim them in batches past each other's locks, sleep until the
server notifies them, and hold what they claimed under a lease. With the ``postgres`` result backend on the same database
a task's end is one transaction, and ``apply_async(connection=...)`` sends inside of the caller's.
"""

from __future__ import annotations

from typing import Any

from umbel.exceptions import ImproperlyConfigured
from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Transport
from umbel.urls import mask_url, split_urls
from umbel_transport_postgres.settings import PostgresTransportSettings
from umbel_transport_postgres.transport import PostgresTransport

__all__ = ["PostgresTransport", "PostgresTransportSettings", "in_transaction", "plugin_info", "umbel_transport"]

plugin_info = PluginInfo(
    kind="transport",
    names=("postgresql", "postgres"),
    summary="messages in tables of PostgreSQL; sending inside of your own transaction",
    requires=("psycopg",),
    extra="postgres",
    capabilities=PostgresTransport.capabilities,
    settings=PostgresTransportSettings,
)


@hookimpl
def umbel_transport(app: Any, url: str) -> PostgresTransport:
    """Return a transport for *url*; it connects when it is opened."""
    return PostgresTransport(url, PostgresTransportSettings.of(app))


def in_transaction(app: Any, connection: Any) -> Transport:
    """Return a transport that publishes inside the transaction of *connection*, for several calls of one transaction.

    *connection* is a ``psycopg.Connection`` to the broker's database, with a transaction open. What is sent through
    ``apply_async(..., connection=in_transaction(app, connection))`` exists when it is committed. Giving the psycopg
    connection itself does the same.
    """
    url = split_urls(app.broker_url)[0]
    transport = app.host.transport(app, url)
    if not isinstance(transport, PostgresTransport):
        raise ImproperlyConfigured(f"expected the broker to be a postgresql:// database, got {mask_url(url)}")
    return transport.in_transaction(connection)
