"""The suite over the router that is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from umbel import Umbel
from umbel.host import Host
from umbel.model import Route, RouteQuery
from umbel.testing.routers import RouterContract


class TestRouter(RouterContract):
    """Every test of a router."""

    def make_app(self) -> Any:
        """Return an app without settings."""
        return Umbel("conformance", set_as_current=False)

    @pytest.fixture
    def router(self, request: pytest.FixtureRequest) -> Callable[[Any, RouteQuery], Route | None]:
        """The router."""
        (router,) = Host().routers(None, [request.config.umbel_checked.name])  # type: ignore[attr-defined]
        return router
