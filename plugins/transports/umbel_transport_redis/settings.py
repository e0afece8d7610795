"""The transport's own settings: section ``[redis]``, or Celery's ``broker_transport_options`` under Celery's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

__all__ = ["RedisTransportSettings"]

_SEP = "\x06\x16"


def _steps(value: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(int(step) for step in value))


@attrs.frozen(kw_only=True)
class RedisTransportSettings:
    """What can be set. Times are seconds.

    *lease_s*: how long a silent worker keeps what it holds. *global_keyprefix* goes before every key and channel;
    *priority_steps* and *sep* name a queue's lists; *fanout_prefix* puts the database's number before broadcast
    channels: they must be those of the Celery programs on the same queues. *master_name* and *sentinel_kwargs* (options of
    the connections to the sentinels) are for ``sentinel://``. *ssl*, or Celery's ``broker_use_ssl``: true, or
    redis-py's options of TLS.
    """

    lease_s: float = attrs.field(default=8.0, converter=float, validator=attrs.validators.gt(0.5))
    global_keyprefix: str = ""
    priority_steps: tuple[int, ...] = attrs.field(default=(0, 3, 6, 9), converter=_steps)
    sep: str = _SEP
    fanout_prefix: bool = True
    socket_timeout: float = attrs.field(default=30.0, converter=float)
    socket_connect_timeout: float | None = None
    socket_keepalive: bool = True
    health_check_interval: float | None = None
    client_name: str | None = None
    master_name: str | None = None
    sentinel_kwargs: dict[str, Any] = attrs.field(factory=dict)
    ssl: Any = None

    @classmethod
    def of(cls, app: Any) -> RedisTransportSettings:
        """Return the section ``[redis]``, with ``broker_transport_options`` of the same names over it."""
        known = {field.name for field in attrs.fields(cls)}
        options = {k: v for k, v in (app.conf.broker_transport_options or {}).items() if k in known}
        if app.conf.broker_use_ssl:
            options["ssl"] = app.conf.broker_use_ssl
        section: RedisTransportSettings = app.conf.section("redis", cls)
        return attrs.evolve(section, **options)
