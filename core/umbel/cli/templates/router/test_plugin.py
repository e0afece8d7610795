"""Every test that a router must pass, and its own rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from umbel.host import Host
from umbel.model import Route, RouteQuery
from umbel.testing.routers import RouterContract


class TestDemo(RouterContract):
    """The conformance suite."""

    @pytest.fixture
    def router(self) -> Callable[[Any, RouteQuery], Route | None]:
        """Return the router, found by its entry point."""
        (router,) = Host().routers(None, ["demo"])
        return router

    def test_each_package_has_a_queue(self, router: Callable[[Any, RouteQuery], Route | None]) -> None:
        assert router(None, RouteQuery("media.images.resize")) == Route(queue="media")
        assert router(None, RouteQuery("resize")) is None
