"""``task_routes`` in all its forms."""

from __future__ import annotations

import re
from typing import Any

import pytest

from umbel import Umbel
from umbel.exceptions import ImproperlyConfigured
from umbel.model import Route, RouteQuery
from umbel_router_task_routes import plugin_info, umbel_route


def route(routes: Any, name: str = "feed.tasks.import_feed", **query: Any) -> Route | None:
    app = Umbel("t", broker="memory://", set_as_current=False, task_routes=routes)
    return umbel_route(app, RouteQuery(name, **query))


class ByTask:
    def route_for_task(self, task: str, args: Any = None, kwargs: Any = None) -> Any:
        return {"queue": f"for-{args[0]}"} if task == "feed.tasks.import_feed" else None


def by_function(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **_: Any) -> Any:
    return f"{name}-{options.get('priority')}" if args else None


@pytest.mark.parametrize(
    ("routes", "queue"),
    [
        ({"feed.tasks.import_feed": {"queue": "feeds"}}, "feeds"),
        ({"feed.tasks.import_feed": "feeds"}, "feeds"),
        ({"feed.tasks.*": "glob"}, "glob"),
        ({"feed.?asks.*": "glob"}, "glob"),
        ({re.compile(r"(feed|news)\.tasks\..+"): "regex"}, "regex"),
        ({"*": "all", "feed.tasks.import_feed": "exact"}, "exact"),
        ([("feed.tasks.*", "first"), ("*", "second")], "first"),
        (("feed.tasks.*", "pair"), None),
        ([{"other": "x"}, {"feed.tasks.*": "second"}], "second"),
        ([[("feed.*", "inner")], {"feed.tasks.*": "second"}], "inner"),
        ({"other.*": "x"}, None),
        (None, None),
        ({}, None),
    ],
    ids=repr,
)
def test_names_globs_and_expressions(routes: Any, queue: str | None) -> None:
    """[A351] [A390] [A391] [B1084]"""
    if routes == ("feed.tasks.*", "pair"):
        routes, queue = [("feed.tasks.*", "pair")], "pair"
    found = route(routes)
    assert (found.queue if found else None) == queue


def test_functions_classes_and_their_names() -> None:
    """[A388] [A390]"""
    for form in (ByTask, ByTask(), f"{__name__}.ByTask", f"{__name__}:ByTask"):
        if isinstance(form, str):
            import sys

            sys.modules.setdefault(__name__, sys.modules[__name__])
        found = route([form], args=("x",))
        assert found is not None
        assert found.queue == "for-x"
    found = route((by_function,), args=(1,), options={"priority": 3})
    assert found is not None
    assert found.queue == "feed.tasks.import_feed-3"
    assert route(by_function) is None


def test_the_first_that_answers_wins() -> None:
    """[A391]"""
    found = route([by_function, {"feed.tasks.*": "later"}])
    assert found is not None
    assert found.queue == "later"


def test_a_route_keeps_its_exchange_and_options() -> None:
    """[B1083] [A358]"""
    found = route({"feed.*": {"exchange": "media", "exchange_type": "topic", "routing_key": "k", "priority": 3}})
    assert found == Route(exchange="media", exchange_type="topic", routing_key="k", options={"priority": 3})


def test_a_changed_setting_is_seen() -> None:
    app = Umbel("t", broker="memory://", set_as_current=False, task_routes={"a": "one"})
    assert umbel_route(app, RouteQuery("a")) == Route(queue="one")
    app.conf.task_routes = {"a": "two"}
    assert umbel_route(app, RouteQuery("a")) == Route(queue="two")


@pytest.mark.parametrize(
    ("routes", "error"),
    [
        ("nodots", "expected the dotted name of a router"),
        ("no.such.module.Router", "there is no module 'no'"),
        ("re.compil", "module 're' has no 'compil'; did you mean 'compile'"),
        ([5], "expected a dict, a .pattern, route. pair, a function"),
        ({5: "queue"}, "expected a task's name, a glob or a compiled regular expression"),
        ({"feed.tasks.*": 5}, "expected a queue's name or a dict"),
    ],
)
def test_unusable_routes_are_refused(routes: Any, error: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=error):
        route(routes)


def test_the_kernel_asks_it() -> None:
    app = Umbel("t", broker="memory://", set_as_current=False, task_routes={"a": {"queue": "q", "routing_key": "k"}})
    destination, _ = app.router.route("a", (), {}, {})
    assert destination.queue is app.queues["q"]
    assert destination.routing_key == "k"
    assert plugin_info.kind == "router"
