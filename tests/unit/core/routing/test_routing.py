"""Queues, and the way of a call to one of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel import Exchange, Queue, Task, Umbel
from umbel.bindings import binding_matches
from umbel.exceptions import ImproperlyConfigured, QueueNotFound


def make(**settings: Any) -> Umbel:
    return Umbel("t", broker="memory://", set_as_current=False, **settings)


def place(app: Umbel, options: dict[str, Any] | None = None, **attributes: Any) -> tuple[str | None, str, str]:
    """Return (queue, exchange, routing key) of a call of a task with *attributes* under *options*."""

    def import_feed() -> None:
        return None

    task: Task[..., Any] = app.task(name="feed.tasks.import_feed", **attributes)(import_feed)
    destination, _ = app.router.route(task.name, (), {}, options or {}, task)
    queue = destination.queue
    return None if queue is None else queue.name, destination.exchange, destination.routing_key


def test_the_default_queue_is_celery_through_the_default_exchange() -> None:
    """[A352] [A355]"""
    app = make()
    assert place(app) == ("celery", "", "celery")
    assert app.queues.default.exchange == Exchange(name="celery")


def test_precedence_is_call_router_task_default() -> None:
    """[B1074] [A386] [B1076]"""
    assert place(make(), queue="tasks-own") == ("tasks-own", "", "tasks-own")
    routed = make(task_routes={"feed.tasks.*": "feeds"})
    assert place(routed, queue="tasks-own") == ("feeds", "", "feeds")
    called = make(task_routes={"feed.tasks.*": {"queue": "feeds", "routing_key": "feed.x"}})
    assert place(called, {"queue": "called"}, queue="tasks-own") == ("called", "", "called")
    assert place(make(task_default_queue="mine")) == ("mine", "", "mine")


def test_options_of_a_route_yield_to_those_of_the_call() -> None:
    app = make(task_routes={"feed.tasks.import_feed": {"queue": "feeds", "priority": 3, "expires": 60}})
    _, options = app.router.route("feed.tasks.import_feed", (), {}, {"priority": 7})
    assert options["priority"] == 7
    assert options["expires"] == 60


def test_a_routing_key_finds_its_queue_through_the_default_exchange() -> None:
    """[A241] [A242] [A243]"""
    media = Exchange(name="tasks", kind="topic")
    app = make(
        task_queues=[Queue(name=name, exchange=media, routing_key=f"{name}.#") for name in ("video", "image", "misc")],
        task_default_exchange="tasks",
        task_default_exchange_type="topic",
        task_default_queue="misc",
    )
    assert place(app, {"routing_key": "video.compress"}) == ("video", "tasks", "video.compress")
    assert place(app, {"routing_key": "image.crop"}) == ("image", "tasks", "image.crop")
    assert place(app) == ("misc", "tasks", "misc.#")


def test_values_of_the_route_beat_those_of_the_queue() -> None:
    """[B1075] [B1083] [A389]"""
    app = make(
        task_queues={"feeds": {"exchange": "media", "exchange_type": "topic", "binding_key": "feed.#"}},
        task_default_queue="feeds",
        task_routes={"feed.tasks.import_feed": {"queue": "feeds", "routing_key": "feed.import"}},
    )
    assert place(app) == ("feeds", "media", "feed.import")


def test_task_attributes_exchange_and_routing_key_are_effective() -> None:
    """[B1076] [A156] [A157]"""
    app = make(task_queues={"q": {"exchange": "x", "routing_key": "k"}}, task_default_queue="q")
    assert place(app, exchange="x", routing_key="k") == ("q", "x", "k")
    assert place(app, {"exchange": "elsewhere", "routing_key": "n"}) == (None, "elsewhere", "n")


def test_queues_of_a_dict_take_the_defaults_for_what_they_lack() -> None:
    """[A357] [A361] [A385]"""
    app = make(
        task_default_exchange="tasks",
        task_default_exchange_type="topic",
        task_default_routing_key="task.default",
        task_default_queue="default",
        task_queues={
            "default": {},
            "feeds": {"binding_key": "feed.#"},
            "own": {"exchange": "o", "exchange_type": "fanout"},
        },
    )
    queues = app.queues
    assert (queues["default"].exchange.name, queues["default"].routing_key) == ("tasks", "task.default")
    assert (queues["feeds"].exchange.kind, queues["feeds"].routing_key) == ("topic", "feed.#")
    assert queues["own"].exchange == Exchange(name="o", kind="fanout")


def test_missing_queues_are_made_or_refused_with_the_nearest_name() -> None:
    """[A350] [A355] [B1085] [B610]"""
    app = make()
    made = app.queues.find("feeds")
    assert made == Queue(name="feeds", exchange=Exchange(name="feeds", kind="direct"), routing_key="feeds")
    strict = make(task_create_missing_queues=False, task_queues=[Queue(name="feeds")], task_default_queue="feeds")
    with pytest.raises(QueueNotFound, match=r"queue 'feed': not in task_queues.*did you mean 'feeds'"):
        place(strict, {"queue": "feed"})


def test_a_queue_object_may_be_given_at_the_call() -> None:
    app = make()
    own = Queue(name="own", exchange=Exchange(name="x", kind="topic"), routing_key="a.b")
    assert place(app, {"queue": own}) == ("own", "x", "a.b")
    assert app.queues["own"] is own


def test_the_prefix_stands_on_the_wire_only() -> None:
    app = make(queue_name_prefix="shop-")
    assert place(app, {"queue": "feeds"}) == ("shop-feeds", "", "shop-feeds")
    assert place(app) == ("shop-celery", "", "shop-celery")
    app.queues.select(["feeds"])
    assert [queue.name for queue in app.queues.consume_from.values()] == ["shop-feeds"]


def test_selection_and_exclusion_change_what_is_consumed_only() -> None:
    """[A353] [B1082] [B517] [B519] [C005]"""
    app = make(task_queues={"a": {}, "b": {}, "c": {}}, task_default_queue="a")
    assert list(app.queues.consume_from) == ["a", "b", "c"]
    app.queues.exclude("b, c")
    assert list(app.queues.consume_from) == ["a"]
    app.select_queues("b,new,b")
    assert list(app.queues.consume_from) == ["b", "new"]
    app.queues.select_add("c")
    assert list(app.queues.consume_from) == ["b", "new", "c"]
    assert set(app.queues) == {"a", "b", "c", "new"}


@pytest.mark.parametrize("queues", [5, "celery", [5], {"a": {"exchnage": "x"}}, [{"exchange": "x"}]], ids=repr)
def test_unusable_definitions_are_refused(queues: Any) -> None:
    with pytest.raises(ImproperlyConfigured):
        _ = make(task_queues=queues).queues


def test_quorum_queues_and_priorities_are_arguments() -> None:
    app = make(task_default_queue_type="quorum", task_queue_max_priority=9)
    assert app.queues.default.queue_arguments == {"x-queue-type": "quorum"}
    assert app.queues.default.max_priority == 9
    assert app.queues.find("other").queue_arguments == {}


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("*.stock.#", "usd.stock", True),
        ("*.stock.#", "euro.stock.db", True),
        ("*.stock.#", "stock.nasdaq", False),
        ("usa.#", "usa", True),
        ("*.news", "usa.news", True),
        ("*.news", "usa.old.news", False),
        ("#", "", True),
        ("a.#.b", "a.b", True),
        ("a.#.b", "a.x.y.b", True),
        ("a.+", "a.b", False),
    ],
)
def test_topic_patterns(pattern: str, key: str, matches: bool) -> None:
    """[A240] [A370]"""
    assert binding_matches("topic", pattern, key) is matches
    assert binding_matches("fanout", pattern, key)
    assert not binding_matches("direct", pattern, key)


def by_hand(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    head, *rest = pattern
    if head == "#":
        return any(by_hand(rest, words[at:]) for at in range(len(words) + 1))
    return bool(words) and (head in {"*", words[0]}) and by_hand(rest, words[1:])


@given(
    st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6),
)
def test_topic_patterns_against_a_model(pattern: list[str], words: list[str]) -> None:
    assert binding_matches("topic", ".".join(pattern), ".".join(words)) is by_hand(pattern, words)
