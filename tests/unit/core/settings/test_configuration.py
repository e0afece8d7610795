"""The configuration object: access, precedence, origins, run-time changes."""

from __future__ import annotations

import threading
import types
from collections.abc import Callable
from typing import Any

import pytest

from umbel.exceptions import ImproperlyConfigured
from umbel.settings import OPTIONS, Configuration, ForeignSettingWarning, Layer, UmbelDeprecationWarning


@pytest.fixture
def conf() -> Configuration:
    return Configuration()


def test_attribute_and_item_are_the_same_thing(conf: Configuration) -> None:
    """[B404]"""
    conf.task_always_eager = True
    assert conf["task_always_eager"] is True
    conf["task_default_queue"] = "q"
    assert conf.task_default_queue == "q"
    assert conf.get("task_default_queue") == "q"
    assert "task_routes" in conf


def test_changes_at_run_time_take_effect(conf: Configuration) -> None:
    """[B195] whatever other sources have said."""
    conf.load_environment({"UMBEL_TASK_ALWAYS_EAGER": "false"})
    conf.task_always_eager = True
    assert conf.task_always_eager is True


def test_update_takes_all_or_nothing(conf: Configuration) -> None:
    conf.task_default_queue = "before"
    with pytest.raises(ImproperlyConfigured):
        conf.update(task_default_queue="after", task_protocol=9)
    assert conf.task_default_queue == "before"
    with pytest.raises(ImproperlyConfigured):
        conf.update(task_default_queue="after", task_time_limit=1, task_soft_time_limit=2)
    assert (conf.task_default_queue, conf.task_time_limit, conf.task_soft_time_limit) == ("before", None, None)
    conf.update([("task_default_queue", "after")], task_time_limit=2)
    assert (conf.task_default_queue, conf.task_time_limit) == ("after", 2.0)


def test_update_takes_groups_and_short_names(conf: Configuration) -> None:
    conf.update({"worker": {"concurrency": 2, "pool": "threads"}, "broker": "memory://"})
    assert (conf.worker_concurrency, conf.worker_pool, conf.broker_url) == (2, "threads", "memory://")


def test_iteration_gives_every_setting_in_order(conf: Configuration) -> None:
    conf.update({"sqlite.synchronous": "full"})
    assert list(conf) == [*OPTIONS, "sqlite.synchronous"]
    assert len(conf) == len(OPTIONS) + 1
    assert dict(conf.items())["task_default_queue"] == "celery"
    assert dict(zip(conf.keys(), conf.values(), strict=True)) == dict(conf.items())


def source_rows() -> list[tuple[str, Callable[[Configuration], object]]]:
    """Each way to give a value, the weakest first."""
    return [
        ("add_defaults", lambda c: c.add_defaults({"task_default_queue": "add_defaults"})),
        ("file", lambda c: c.add_source({"task_default_queue": "file"}, "umbel.toml")),
        ("object", lambda c: c.from_object(types.SimpleNamespace(task_default_queue="object"))),
        (
            "application",
            lambda c: c.from_mapping({"task_default_queue": "application"}, layer=Layer.APPLICATION),
        ),
        ("environment", lambda c: c.load_environment({"UMBEL_TASK_DEFAULT_QUEUE": "environment"})),
        ("code", lambda c: setattr(c, "task_default_queue", "code")),
        ("command line", lambda c: c.update(task_default_queue="command line", place="the command line")),
    ]


@pytest.mark.parametrize("stronger", range(1, 7))
def test_precedence(stronger: int) -> None:
    """The stronger source holds, whichever is read first; among assignments, the later."""
    rows = source_rows()
    name, give = rows[stronger]
    for weaker, give_weaker in rows[:stronger]:
        for order in ([give_weaker, give], [give, give_weaker]):
            if (weaker, name) == ("code", "command line") and order[0] is give:
                continue
            conf = Configuration()
            for step in order:
                step(conf)
            assert conf.task_default_queue == name, (weaker, name)
            assert conf.origin("task_default_queue").layer.name.lower().startswith(name[:4]) or stronger >= 5


def test_within_a_layer_the_later_source_holds(conf: Configuration) -> None:
    conf.from_mapping({"task_default_queue": "one", "task_serializer": "yaml"})
    conf.from_mapping({"task_default_queue": "two"})
    assert (conf.task_default_queue, conf.task_serializer) == ("two", "yaml")


def test_deleting_an_assignment_uncovers_what_was_below(conf: Configuration) -> None:
    conf.add_source({"task_default_queue": "file"}, "umbel.toml")
    conf.task_default_queue = "code"
    del conf.task_default_queue
    assert conf.task_default_queue == "file"
    with pytest.raises(KeyError, match=r"it is from umbel\.toml"):
        del conf["task_default_queue"]


def test_origin_names_the_line(conf: Configuration) -> None:
    assert str(conf.origin("task_default_queue")) == "default"
    conf.task_default_queue = "q"
    assert str(conf.origin("task_default_queue")).startswith(f"{__file__}, line ")
    conf.update(task_default_queue="r", place="the command line")
    assert str(conf.origin("CELERY_DEFAULT_QUEUE")) == "the command line"


def test_setdefault_leaves_what_any_source_has_set(conf: Configuration) -> None:
    conf.add_source({"task_default_queue": "file"}, "umbel.toml")
    assert conf.setdefault("task_default_queue", "x") == "file"
    assert conf.setdefault("task_serializer", "yaml") == "yaml"


def test_plugins_names_of_celery_are_kept_with_a_warning(conf: Any) -> None:
    with pytest.warns(ForeignSettingWarning, match="belongs to the plugin 'redis', which is not installed"):
        conf.redis_socket_timeout = 30
    assert conf.redis_socket_timeout == 30
    assert conf["redis_socket_timeout"] == 30
    assert conf.redis_db is None
    assert "redis_db" in conf


def test_dump_masks_every_secret(conf: Configuration) -> None:
    with pytest.warns(ForeignSettingWarning):
        conf.update(
            broker_url="redis://u:hunter2@h/1;redis://:hunter2@g?password=hunter2",
            result_backend="db+postgresql://u:hunter2@h/x",
            broker_transport_options={"sentinel_kwargs": {"password": "hunter2"}, "urls": ["redis://:hunter2@h"]},
            security_key_password=b"hunter2",
            redis_password="hunter2",
            s3_secret_access_key="hunter2",
            mongodb_backend_settings={"password": "hunter2", "host": "db"},
            task_default_queue="shown",
        )
    for text in (repr(conf), conf.humanize(), conf.humanize(with_defaults=True), str(conf.table())):
        assert "hunter2" not in text
        assert "shown" in text
    assert conf.table()["mongodb_backend_settings"] == {"password": "**", "host": "db"}
    assert conf.table(censored=False)["redis_password"] == "hunter2"
    assert list(conf.table(with_defaults=True))[: len(OPTIONS)] == list(OPTIONS)


def test_legacy_split_broker_settings_make_a_url(conf: Configuration) -> None:
    """[A531]"""
    assert conf.effective_broker_url is None
    with pytest.warns(UmbelDeprecationWarning):
        conf.update(broker_host="h", broker_user="u", broker_password="p/w", broker_port=5672, broker_vhost="/v")
    assert conf.effective_broker_url == "amqp://u:p%2Fw@h:5672//v"
    conf.broker_url = "redis://other"
    assert conf.effective_broker_url == "redis://other"


def test_writers_in_many_threads_leave_a_sound_state(conf: Configuration) -> None:
    barrier = threading.Barrier(4)

    def write(number: int) -> None:
        barrier.wait(10)
        for _ in range(200):
            conf.update(task_time_limit=number + 1, task_soft_time_limit=number + 0.5)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert conf.task_soft_time_limit is not None
    assert conf.task_time_limit == conf.task_soft_time_limit + 0.5
    assert conf.origin("task_time_limit") == conf.origin("task_soft_time_limit")


# -- combinations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"task_soft_time_limit": 10}, {"task_time_limit": 10}),
        ({"task_default_priority": 6}, {"task_queue_max_priority": 5}),
        ({"control_queue_durable": True}, {"control_queue_exclusive": True}),
        ({"event_queue_durable": True}, {"event_queue_exclusive": True}),
        (
            {"result_backend_base_sleep_between_retries_ms": 5},
            {"result_backend_max_sleep_between_retries_ms": 4},
        ),
    ],
)
def test_impossible_combinations_name_both_places(
    conf: Configuration, first: dict[str, Any], second: dict[str, Any]
) -> None:
    conf.add_source(first, "umbel.toml, line 3")
    conf.add_source(second, "the environment", Layer.ENVIRONMENT)
    with pytest.raises(ImproperlyConfigured, match="cannot stand together") as caught:
        conf.check()
    assert f"{next(iter(first))} = " in str(caught.value)
    assert "(umbel.toml, line 3)" in str(caught.value)
    assert "(the environment)" in str(caught.value)


def test_single_assignments_may_pass_through_an_impossible_state(conf: Configuration) -> None:
    conf.update(task_soft_time_limit=60, task_time_limit=120)
    conf.task_time_limit = 30
    conf.task_soft_time_limit = 20
    conf.check()
