"""The store's own settings: section ``[redis_results]``, or Celery's ``result_backend_transport_options``."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

__all__ = ["RedisBackendSettings"]


@attrs.frozen(kw_only=True)
class RedisBackendSettings:
    """What can be set. Times are seconds.

    *global_keyprefix* goes before every key and channel; *chord_kept_s*: how long a completed chord is remembered.
    *master_name* and *sentinel_kwargs* (options of the connections to the sentinels) are for ``sentinel://``;
    *backend_use_ssl*: true, or redis-py's options of TLS. Celery's ``redis_backend_use_ssl``, ``redis_socket_timeout``,
    ``redis_socket_connect_timeout``, ``redis_socket_keepalive`` and ``redis_client_name`` are read too.
    """

    flat_prefix: ClassVar[str] = "redis_"

    global_keyprefix: str = ""
    socket_timeout: float = attrs.field(default=30.0, converter=float)
    socket_connect_timeout: float | None = None
    socket_keepalive: bool = True
    client_name: str | None = None
    master_name: str | None = None
    sentinel_kwargs: dict[str, Any] = attrs.field(factory=dict)
    backend_use_ssl: Any = None
    chord_kept_s: float = attrs.field(default=3600.0, converter=float)

    @classmethod
    def of(cls, app: Any) -> RedisBackendSettings:
        """Return the section ``[redis_results]``, with ``result_backend_transport_options`` of the same names over it."""
        known = {field.name for field in attrs.fields(cls)}
        options = {k: v for k, v in (app.conf.result_backend_transport_options or {}).items() if k in known}
        section: RedisBackendSettings = app.conf.section("redis_results", cls)
        return attrs.evolve(section, **options)
