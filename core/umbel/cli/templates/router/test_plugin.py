"""Every test that a router must pass, and its own rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    def routed(self) -> Sequence[tuple[RouteQuery, str]]:
        """Return what each query must be answered with."""
        return [(RouteQuery("media.images.resize"), "media"), (RouteQuery("mail.send"), "mail")]

    def test_a_task_without_a_package_is_left_to_the_next(
        self, router: Callable[[Any, RouteQuery], Route | None]
    ) -> None:
        assert router(None, RouteQuery("resize")) is None
