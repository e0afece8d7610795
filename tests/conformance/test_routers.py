"""The shipped suite over every installed router, a class each: the app it needs, and its own rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from umbel import Umbel
from umbel.host import Host
from umbel.model import Route, RouteQuery
from umbel.testing.routers import RouterContract


def test_every_installed_router_is_under_test(uncovered: Callable[[str, Mapping[str, Any]], list[str]]) -> None:
    problems = uncovered("router", globals())
    assert not problems


class TestTaskRoutes(RouterContract):
    plugin = "task_routes"

    def make_app(self) -> Any:
        routes = [
            {"tasks.add": {"queue": "exact"}, "media.*": {"queue": "glob"}},
            (re.compile(r"re\..*"), {"queue": "regex"}),
        ]
        return Umbel("conformance", broker="memory://routers", set_as_current=False, task_routes=routes)

    def routed(self) -> Sequence[tuple[RouteQuery, str]]:
        names = {"tasks.add": "exact", "media.images.resize": "glob", "re.anything": "regex"}
        return [(RouteQuery(name), queue) for name, queue in names.items()]

    @pytest.fixture
    def router(self) -> Callable[[Any, RouteQuery], Route | None]:
        (router,) = Host().routers(None, ["task_routes"])
        return router
