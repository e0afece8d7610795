"""Settings of the connection to the broker."""

from __future__ import annotations

from typing import Any, Final, Literal

from umbel.settings.kinds import Urls
from umbel.settings.option import at_least, more_than, option

__all__ = ["BrokerSettings"]

_SPLIT: Final = "write it into `broker_url`"


class BrokerSettings:
    """Which broker, and how patient to be with it."""

    __slots__ = ()

    broker_url: str | None = option(
        None,
        "`scheme://user:password@host:port/virtual_host`; several (a list, or with `;` between) for fail-over."
        " Unset: an SQLite file of the application's own.",
        kind=Urls(),
        secret=True,
    )
    broker_read_url: str | None = option(
        None, "The URL for consuming, where it is another one.", kind=Urls(), secret=True
    )
    broker_write_url: str | None = option(
        None, "The URL for sending, where it is another one.", kind=Urls(), secret=True
    )
    broker_transport: str | None = option(
        None, "The scheme of `broker_url`, given apart.", old=("BROKER_BACKEND", "CARROT_BACKEND"), deprecated=_SPLIT
    )
    broker_host: str | None = option(None, "The host of `broker_url`, given apart.", deprecated=_SPLIT)
    broker_port: int | None = option(None, "Its port.", deprecated=_SPLIT, check=at_least(1))
    broker_user: str | None = option(None, "Its user.", deprecated=_SPLIT)
    broker_password: str | None = option(None, "Its password.", deprecated=_SPLIT, secret=True)
    broker_vhost: str | None = option(None, "Its virtual host.", deprecated=_SPLIT)
    broker_transport_options: dict[str, Any] = option({}, "Options of the transport.", secret=True)
    broker_use_ssl: Any = option(False, "Encrypt the connection: true, or a mapping of options of `ssl`.")
    broker_login_method: str | None = option(None, "The AMQP log-in method: PLAIN, AMQPLAIN, EXTERNAL.")
    broker_connection_timeout: float = option(4.0, "Seconds to make a connection.", check=more_than(0))
    broker_connection_retry: bool = option(True, "Connect again when the connection is lost.")
    broker_connection_retry_on_startup: bool | None = option(
        None, "Try again when the broker is down at start; unset: as `broker_connection_retry`."
    )
    broker_connection_max_retries: int | None = option(
        100,
        "Give up connecting after this many attempts (after the tenth, those of 30 seconds are one); 0 or None: never.",
        check=at_least(0),
    )
    broker_channel_error_retry: bool = option(False, "Connect again also after an error of the channel.")
    broker_failover_strategy: Any = option(
        None, "The order in which several URLs are tried: `round-robin`, `shuffle`, or a function."
    )
    broker_heartbeat: float | None = option(
        120.0, "Seconds between AMQP heartbeats of a worker; 0: none.", check=at_least(0)
    )
    broker_heartbeat_checkrate: float = option(
        3.0, "How often in that time heartbeats are looked for.", check=more_than(0)
    )
    broker_pool_limit: int | None = option(
        10, "The most connections kept for sending; 0 or None: connect for each call.", check=at_least(0)
    )
    broker_pool_acquire_timeout: float | None = option(
        None, "Seconds to wait for one of them; unset: `task_publish_timeout_s`.", check=at_least(0)
    )
    broker_native_delayed_delivery_queue_type: Literal["classic", "quorum"] = option(
        "quorum", "The type of the queues that hold delayed messages on RabbitMQ."
    )
