"""The transport's own settings: section ``[amqp]``; what Celery has a setting for is read from there."""

from __future__ import annotations

from typing import Any, Final

import attrs

__all__ = ["AmqpSettings"]

#: Those of Celery's ``broker_transport_options`` that are not py-amqp's.
_NOT_FOR_THE_DRIVER: Final = frozenset(
    {
        "confirm_publish",
        "max_retries",
        "interval_start",
        "interval_step",
        "interval_max",
        "retry_errors",
        "queue_order_strategy",
        "polling_interval",
        "native_delayed_delivery_prefix",
    }
)


@attrs.frozen(kw_only=True)
class AmqpSettings:
    """What can be set.

    *heartbeat_s*: of the worker's connection (0: none). *prefetch_max*: the most a consumer buffers. *confirm_publish*:
    whether the broker is asked to confirm what it takes over. *publisher_confirms*: ``each`` call waits for its
    confirmation, or up to *confirm_window* messages of a process may be unconfirmed (``window``), for which its end
    waits *confirm_flush_s*. *consumer_timeout_s*: how long a task may be held unacknowledged. *answer_timeout_s*: how long the broker may
    take for an answer where the caller gives no time. *delayed_queue_type*: of the queues in which messages wait for
    their time. *transport_options* go to py-amqp.
    """

    heartbeat_s: float = attrs.field(default=120.0, converter=float)
    prefetch_max: int = attrs.field(default=2000, validator=attrs.validators.ge(1))
    confirm_publish: bool = True
    publisher_confirms: str = attrs.field(default="each", validator=attrs.validators.in_(("each", "window")))
    confirm_window: int = attrs.field(default=5000, validator=attrs.validators.ge(1))
    confirm_flush_s: float = attrs.field(default=10.0, converter=float, validator=attrs.validators.ge(0))
    consumer_timeout_s: float = attrs.field(default=604800.0, converter=float, validator=attrs.validators.ge(0))
    answer_timeout_s: float = attrs.field(default=10.0, converter=float, validator=attrs.validators.gt(0))
    delayed_queue_type: str = attrs.field(default="quorum", validator=attrs.validators.in_(("classic", "quorum")))
    login_method: str | None = None
    ssl: Any = None
    failover_strategy: Any = None
    transport_options: dict[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of(cls, app: Any) -> AmqpSettings:
        """Return the section ``[amqp]`` with Celery's settings over its defaults."""
        conf = app.conf
        section: AmqpSettings = conf.section("amqp", cls)
        options = dict(conf.broker_transport_options or {})
        return attrs.evolve(
            section,
            heartbeat_s=conf.broker_heartbeat or 0,
            delayed_queue_type=conf.broker_native_delayed_delivery_queue_type,
            login_method=conf.broker_login_method,
            ssl=conf.broker_use_ssl or None,
            failover_strategy=conf.broker_failover_strategy,
            transport_options=options,
            confirm_publish=bool(options.get("confirm_publish", section.confirm_publish)),
        )

    def driver_options(self) -> dict[str, Any]:
        """Return what py-amqp gets of *transport_options*."""
        return {name: value for name, value in self.transport_options.items() if name not in _NOT_FOR_THE_DRIVER}
