"""Members of a group are made after the likeness of the first: the messages are those that each alone would have."""

from __future__ import annotations

from typing import Any

import pytest

from umbel import Umbel, chain, chord, group
from umbel.canvas.planning import plan
from umbel.model import Publication


@pytest.fixture
def app() -> Umbel:
    app = Umbel("alike", broker="memory://alike", backend="memory://alike", set_as_current=False)
    for name in ("one", "two"):
        app.task(name=name)(lambda *args, **kwargs: args)
    app.task(name="shadowed", shadow_name=lambda *_: "shadow")(lambda *args: args)
    return app


def _plain(publication: Publication) -> Any:
    message = publication.message
    return message.body, message.headers, message.properties, publication.routing_key, publication.priority


def _workflows(app: Umbel) -> list[Any]:
    def s(name: str, *args: Any, **options: Any) -> Any:
        return app.signature(name, args=args, **options)

    return [
        group(s("one", number) for number in range(5)),
        group([s("one", 1), s("two", 1), s("one", 2), s("two", 2), s("two", 3)]),
        group([s("one", 1), s("one", 2, priority=3), s("one", 3, priority=3), s("one", 4, queue="other")]),
        group([s("shadowed", 1), s("shadowed", 2)]),
        group([s("one", 1, task_id="a"), s("one", 2, headers={"x": 1}), s("one", 3, headers={"x": 1})]),
        chord([s("one", number) for number in range(4)], s("two")),
        group(chain(s("one", number), s("two")) for number in range(3)),
        group([s("one", 1, compression="gzip"), s("one", 2, compression="gzip")]),
        group([s("one", 1), s("one", 2)]).set(link_error=s("two")),
    ]


@pytest.mark.parametrize("number", range(9))
def test_together_and_alone_give_the_same_messages(app: Umbel, number: int) -> None:
    frozen, _ = app.workflows.freeze(_workflows(app)[number])
    together = app.workflows.prepare_calls(plan(frozen))
    alone = [publication for call in plan(frozen) for publication in app.workflows.prepare_calls([call])]
    assert [_plain(each) for each in together] == [_plain(each) for each in alone]
    headers = [each.message.headers for each in together]
    assert len({id(each) for each in headers}) == len(headers)
    assert len({id(each["stamps"]) for each in headers}) == len(headers)


def _by_argument(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **_: Any) -> Any:
    """A route that depends on the first argument."""
    if not args or args[0] == 0:
        return None
    return {"queue": "odd", "priority": 5} if args[0] % 2 else {"queue": "even"}


def test_members_that_are_alike_and_go_different_ways_go_them() -> None:
    app = Umbel("routed", broker="memory://routed", backend="memory://routed", set_as_current=False)
    app.conf.update(task_routes=[_by_argument])
    one = app.task(name="one")(lambda number: number)
    frozen, _ = app.workflows.freeze(group(one.s(number) for number in (1, 3, 2, 4, 0, 5)))
    together = app.workflows.prepare_calls(plan(frozen))
    alone = [publication for call in plan(frozen) for publication in app.workflows.prepare_calls([call])]
    ways = [("odd", 5), ("odd", 5), ("even", None), ("even", None), ("celery", None), ("odd", 5)]
    assert [(each.routing_key, each.priority) for each in together] == ways
    assert [_plain(each) for each in together] == [_plain(each) for each in alone]
