"""The transport's own settings: section ``[postgresql]``, or Celery's ``broker_transport_options`` of the same names."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["PostgresTransportSettings"]


@attrs.frozen(kw_only=True)
class PostgresTransportSettings:
    """What can be set. Times are seconds.

    *schema* holds the tables; ``?schema=`` in the URL goes before it. *lease_s*: how long a silent worker keeps what it
    holds. *command_timeout_s*: how long any one statement may take, waiting for locks included.
    """

    schema: str = "umbel"
    lease_s: float = attrs.field(default=8.0, converter=float, validator=attrs.validators.gt(0.5))
    command_timeout_s: float = attrs.field(default=15.0, converter=float, validator=attrs.validators.gt(0.0))

    @classmethod
    def of(cls, app: Any) -> PostgresTransportSettings:
        """Return the section ``[postgresql]``, with ``broker_transport_options`` of the same names over it."""
        if app is None:
            return cls()
        known = {field.name for field in attrs.fields(cls)}
        options = {k: v for k, v in (app.conf.broker_transport_options or {}).items() if k in known}
        section: PostgresTransportSettings = app.conf.section("postgresql", cls)
        return attrs.evolve(section, **options)
