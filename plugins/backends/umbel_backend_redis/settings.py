"""The store's own settings: section ``[redis_results]``, or Celery's ``result_backend_transport_options``."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["RedisBackendSettings"]


@attrs.frozen(kw_only=True)
class RedisBackendSettings:
    """What can be set. *global_keyprefix* goes before every key and channel; *socket_timeout* is seconds."""

    global_keyprefix: str = ""
    socket_timeout: float = attrs.field(default=30.0, converter=float)
    socket_connect_timeout: float | None = None
    chord_kept_s: float = attrs.field(default=3600.0, converter=float)

    @classmethod
    def of(cls, app: Any) -> RedisBackendSettings:
        """Return the section ``[redis_results]``, with ``result_backend_transport_options`` of the same names over it."""
        known = {field.name for field in attrs.fields(cls)}
        options = {k: v for k, v in (app.conf.result_backend_transport_options or {}).items() if k in known}
        section: RedisBackendSettings = app.conf.section("redis_results", cls)
        return attrs.evolve(section, **options)
