"""What the global options ask for, and the application they name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from umbel import Umbel

__all__ = ["Session"]


@attrs.define(kw_only=True)
class Session:
    """The global options of one run of the command line; ``click.Context.obj`` of every command.

    *app_spec* is the text of ``--app``; the application itself is :attr:`app`.
    """

    app_spec: str | None = attrs.field(default=None, alias="app")
    broker: str | None = None
    result_backend: str | None = None
    loader: str | None = None
    config: str | None = None
    workdir: str | None = None
    no_color: bool = False
    quiet: bool = False
    skip_checks: bool = False
    _app: Any = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.no_color = self.no_color or "NO_COLOR" in os.environ

    def enter_workdir(self) -> None:
        """Change to ``--workdir``, where one was given."""
        if self.workdir is not None:
            os.chdir(self.workdir)
            self.workdir = os.getcwd()

    @property
    def app(self) -> Umbel:
        """The application: found at the first use, with the broker, store and configuration of the options."""
        if self._app is None:
            self._app = self._find()
        found: Umbel = self._app
        return found

    def _find(self) -> Umbel:
        from umbel.app_loading import find_app  # for start-up: --help needs no application

        app = find_app(self.app_spec, self.workdir or os.getcwd())
        if self.config is not None:
            app.config_from_object(self.config)
        overrides = {"broker_url": self.broker, "result_backend": self.result_backend}
        app.conf.update(
            {name: value for name, value in overrides.items() if value is not None}, place="the command line"
        )
        return app
