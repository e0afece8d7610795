"""The transport's own settings: section ``[kombu]``; options of kombu's transports are ``broker_transport_options``."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["KombuSettings"]


@attrs.frozen(kw_only=True)
class KombuSettings:
    """What can be set. Times are seconds.

    *transport*: for ``kombu://``, the class of a transport, ``"module:Class"``. *polling_interval*: the longest pause
    between two looks at a queue (also in ``broker_transport_options``). *answer_timeout_s*: how long the broker may take
    where the caller gives no time. *transport_options* go to kombu's transport.
    """

    transport: str | None = None
    polling_interval: float = attrs.field(default=1.0, converter=float, validator=attrs.validators.gt(0))
    answer_timeout_s: float = attrs.field(default=30.0, converter=float, validator=attrs.validators.gt(0))
    ssl: Any = None
    login_method: str | None = None
    transport_options: dict[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of(cls, app: Any) -> KombuSettings:
        """Return the section ``[kombu]`` with Celery's settings over it."""
        section: KombuSettings = app.conf.section("kombu", cls)
        options = dict(app.conf.broker_transport_options or {})
        return attrs.evolve(
            section,
            ssl=app.conf.broker_use_ssl or section.ssl,
            login_method=app.conf.broker_login_method or section.login_method,
            polling_interval=options.get("polling_interval") or section.polling_interval,
            transport_options={**section.transport_options, **options},
        )
