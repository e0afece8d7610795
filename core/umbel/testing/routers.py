"""The suite that proves a router.

::

    import pytest
    from umbel.host import Host
    from umbel.model import RouteQuery
    from umbel.testing.routers import RouterContract

    class TestByTenant(RouterContract):
        @pytest.fixture
        def router(self):
            (router,) = Host().routers(None, ["by_tenant"])
            return router

        def routed(self):
            return [(RouteQuery("tenant1.add"), "tenant1")]
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
import pytest

from umbel.model import Route, RouteQuery
from umbel.testing.capabilities import needs_hook
from umbel.testing.threads import in_threads

__all__ = ["RouterContract", "RouterStage"]

_Router = Callable[[Any, RouteQuery], Route | None]

_NAMES = ["", ".", "tasks.add", "a.b.c.d.e.f", "tasks.añadir", "x" * 500, "tasks.*", "tasks.[", "^(", "celery.chord"]


class RouterStage:
    """The author's fixture and hooks. See ``RouterContract``."""

    #: What one answer may take on average; each call of a task waits for it.
    most_seconds_per_call: float = 0.001

    @pytest.fixture
    def router(self) -> _Router:
        """The router, called as ``router(app, query)``. The one fixture that must be given."""
        pytest.fail(f"{type(self).__name__} must give a fixture 'router': a callable (app, query) -> Route | None")

    def make_app(self) -> Any:
        """Return the app that the router is asked for. May be overridden."""
        return None

    def routed(self) -> Sequence[tuple[RouteQuery, str]]:
        """Return queries with the queue that each must be answered with. May be overridden."""
        raise NotImplementedError


class RouterContract(RouterStage):
    """Every test of a router. Subclass it, and give the fixture ``router``; override ``routed`` for its own rule."""

    @pytest.fixture(autouse=True)
    def _on_stage(self, request: pytest.FixtureRequest) -> None:
        for name in getattr(request.function, "umbel_needs_hooks", ()):
            if getattr(type(self), name) is getattr(RouterStage, name):
                pytest.skip(f"{type(self).__name__} does not override {name}(); see its docstring")

    @pytest.mark.parametrize("name", _NAMES)
    def test_any_name_is_answered_or_left_to_the_next(self, router: _Router, name: str) -> None:
        answer = router(self.make_app(), RouteQuery(name))
        assert answer is None or isinstance(answer, Route)

    def test_arguments_and_options_of_any_kind_are_accepted(self, router: _Router) -> None:
        query = RouteQuery(
            "tasks.add", (1, object(), b"\xff"), {"key": {"deep": [None]}}, {"queue": "given", "priority": 9}, object()
        )
        answer = router(self.make_app(), query)
        assert answer is None or isinstance(answer, Route)

    def test_the_query_is_left_as_it_was(self, router: _Router) -> None:
        query = RouteQuery("tasks.add", (1, 2), {"key": [1]}, {"priority": 3})
        before = copy.deepcopy(attrs.asdict(query))
        router(self.make_app(), query)
        assert attrs.asdict(query) == before

    def test_the_same_question_has_the_same_answer(self, router: _Router) -> None:
        app = self.make_app()
        query = RouteQuery("tasks.add", (1, 2))
        assert router(app, query) == router(app, query)

    def test_many_threads_may_ask_at_once(self, router: _Router) -> None:
        app = self.make_app()
        expected = [router(app, RouteQuery(name)) for name in _NAMES]

        def ask() -> bool:
            return all([router(app, RouteQuery(name)) for name in _NAMES] == expected for _ in range(20))

        assert all(in_threads([partial(ask)] * 8))

    def test_an_answer_is_quick(self, router: _Router) -> None:
        app = self.make_app()
        query = RouteQuery("tasks.add", (1, 2), {"key": "value"})
        router(app, query)
        started = time.perf_counter()
        for _ in range(500):
            router(app, query)
        assert (time.perf_counter() - started) / 500 < self.most_seconds_per_call

    @needs_hook("routed")
    def test_its_own_rule(self, router: _Router) -> None:
        app = self.make_app()
        for query, queue in self.routed():
            answer = router(app, query)
            assert answer is not None, f"{query.name} was left to the next router, expected queue {queue!r}"
            assert answer.queue == queue
