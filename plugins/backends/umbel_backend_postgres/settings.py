"""The store's own settings: section ``[postgresql]``, or Celery's ``result_backend_transport_options``."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["PostgresBackendSettings"]


@attrs.frozen(kw_only=True)
class PostgresBackendSettings:
    """What can be set. *schema* holds the tables (``?schema=`` in the URL goes before it).

    *command_timeout_s* is how long any one statement may take, waiting for locks included.
    """

    schema: str = "umbel"
    command_timeout_s: float = attrs.field(default=15.0, converter=float, validator=attrs.validators.gt(0.0))

    @classmethod
    def of(cls, app: Any) -> PostgresBackendSettings:
        """Return the section ``[postgresql]``, with ``result_backend_transport_options`` over it."""
        if app is None:
            return cls()
        known = {field.name for field in attrs.fields(cls)}
        options = {k: v for k, v in (app.conf.result_backend_transport_options or {}).items() if k in known}
        section: PostgresBackendSettings = app.conf.section("postgresql", cls)
        return attrs.evolve(section, **options)
