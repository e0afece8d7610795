"""``app.connection()``: kombu's connection where kombu speaks to the broker, else one that answers what is asked of it.

Umbel sends and receives over its own transports. A connection is for programs that look at the broker's address, send
messages of their own with kombu, or hand it on to ``app.events.Receiver``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from umbel.urls import mask_url, parse_url

__all__ = ["BrokerConnection", "connection_for"]

#: Schemes that kombu's own transports serve, on the wire that Umbel's speak too.
_KOMBUS: Final = frozenset({"amqp", "amqps", "pyamqp", "redis", "rediss", "sentinel", "sqs", "sqla", "mongodb"})


class BrokerConnection:
    """The address of a broker that kombu does not speak to, and Umbel's transport to it on demand."""

    connection_errors: tuple[type[BaseException], ...] = (OSError,)
    channel_errors: tuple[type[BaseException], ...] = ()
    recoverable_connection_errors = connection_errors
    recoverable_channel_errors = channel_errors

    def __init__(self, app: Any, url: str) -> None:
        self._app = app
        self._url = url
        parts = parse_url(url)
        self.hostname = parts.hostname
        self.port = parts.port
        self.userid = parts.username
        self.password = parts.password
        self.virtual_host = (parts.path or "").strip("/")
        self.transport_cls = parts.scheme
        self.transport = _Driver(parts.scheme)
        self._transport: Any = None

    @property
    def connected(self) -> bool:
        """Whether Umbel's transport is open."""
        return self._transport is not None

    def as_uri(self, include_password: bool = False, **_: Any) -> str:
        """Return the URL; its password masked."""
        return self._url if include_password else mask_url(self._url)

    def info(self) -> dict[str, Any]:
        """Return the parts of the address."""
        return {
            "hostname": self.hostname,
            "userid": self.userid,
            "virtual_host": self.virtual_host,
            "port": self.port,
            "transport": self.transport_cls,
            "ssl": False,
        }

    def connect(self) -> Self:
        """Open Umbel's transport. Raises :class:`~umbel.exceptions.OperationalError` when the broker does not answer."""
        if self._transport is None:
            self._transport = self._app.connections.open_transport(
                float(self._app.conf.broker_connection_timeout), [self._url]
            )
        return self

    def ensure_connection(self, *_: Any, **__: Any) -> Self:
        """The same: Umbel's publishers and workers have their own ways to try again."""
        return self.connect()

    def clone(self, **_: Any) -> BrokerConnection:
        """Return another one to the same address."""
        return type(self)(self._app, self._url)

    def close(self) -> None:
        """Close what is open. May be called twice."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    release = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<BrokerConnection: {self.as_uri()}>"


class _Driver:
    """What tracers ask of a connection's transport."""

    def __init__(self, scheme: str) -> None:
        self.driver_type = self.driver_name = scheme


def connection_for(app: Any, url: str, options: Mapping[str, Any]) -> Any:
    """Return the connection to *url*, not connected yet."""
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme not in _KOMBUS:
        return BrokerConnection(app, url)
    from kombu.connection import Connection  # for start-up: few programs ask for a connection

    conf = app.conf
    given = {
        "transport_options": dict(conf.broker_transport_options or {}),
        "connect_timeout": conf.broker_connection_timeout,
        "heartbeat": conf.broker_heartbeat,
        **({"ssl": conf.broker_use_ssl} if conf.broker_use_ssl else {}),
        **({"login_method": conf.broker_login_method} if conf.broker_login_method else {}),
    }
    return Connection(url, **{**given, **options})
