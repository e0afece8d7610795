"""Names of Celery before version 4, and Django's way of writing the new ones."""

from __future__ import annotations

import types
from types import ModuleType
from typing import Any

import pytest

from umbel.exceptions import ImproperlyConfigured
from umbel.settings import (
    OLD_NAMES,
    OPTIONS,
    REMOVED,
    Configuration,
    ForeignSettingWarning,
    UmbelDeprecationWarning,
)


@pytest.fixture
def conf() -> Configuration:
    return Configuration()


def test_each_old_name_of_celery_means_the_same_here(celerys: ModuleType) -> None:
    """[B057] [O01] Celery's own table; names that were never lower case in it may be more here."""
    theirs = {
        old: new for old, new in celerys._TO_NEW_KEY.items() if old not in ("RESULT_ACCEPT_CONTENT", "ENABLE_UTC")
    }
    assert {old: OLD_NAMES.get(old) for old in theirs} == theirs


def test_no_old_name_has_two_meanings() -> None:
    names = [old for row in OPTIONS.values() for old in row.old]
    assert len(names) == len(set(names))
    assert set(names).isdisjoint(REMOVED)
    assert set(names).isdisjoint(OPTIONS)


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("CELERY_ALWAYS_EAGER", "task_always_eager", True),  # A543
        ("CELERY_TASK_RESULT_EXPIRES", "result_expires", 60.0),  # A548
        ("CELERY_AMQP_TASK_RESULT_EXPIRES", "result_expires", 0.8),  # B054
        ("CELERYD_CONCURRENCY", "worker_concurrency", 3),  # A484
        ("CELERY_CONCURRENCY", "worker_concurrency", 3),  # guide, contradiction 3
        ("CELERYD_SOFT_TASK_TIME_LIMIT", "task_soft_time_limit", 3.0),  # guide, contradiction 3
        ("CELERY_TASK_SOFT_TIME_LIMIT", "task_soft_time_limit", 3.0),
        ("CELERYD_TASK_SOFT_TIME_LIMIT", "task_soft_time_limit", 3.0),  # A567
        ("CELERY_MESSAGE_COMPRESSION", "task_compression", "gzip"),  # B002
        ("CELERY_MAX_CACHED_RESULTS", "result_cache_max", 5000),  # B004
        ("CELERYBEAT_MAX_LOOP_INTERVAL", "beat_max_loop_interval", 300.0),  # B052
        ("CELERYD_ETA_SCHEDULER_PRECISION", "worker_timer_precision", 0.1),  # B022
        ("CELERY_SEND_EVENTS", "worker_send_task_events", True),  # B032
        ("CELERY_BACKEND", "result_backend", "redis"),  # A486
        ("CELERYD_REDIRECT_STDOUTS_LEVEL", "worker_redirect_stdouts_level", "INFO"),
        ("CELERYD_LOG_FILE", "worker_logfile", "/log"),  # B056
        ("BROKER_POOL_LIMIT", "broker_pool_limit", None),  # A538
        ("CELERY_EVENT_SERIALIZER", "event_serializer", "yaml"),  # B034
    ],
)
def test_an_old_name_is_understood_and_the_new_one_named(conf: Configuration, old: str, new: str, value: Any) -> None:
    with pytest.warns(UmbelDeprecationWarning, match=f"{old}, in .* is an old name: call it '{new}'") as caught:
        conf.from_object(types.SimpleNamespace(**{old: value}))
    assert getattr(conf, new) == value
    assert caught[0].filename == __file__


def test_old_names_may_be_read_and_assigned(conf: Any) -> None:
    with pytest.warns(UmbelDeprecationWarning):
        conf.CELERY_ALWAYS_EAGER = True
    assert conf.task_always_eager is True
    with pytest.warns(UmbelDeprecationWarning, match="task_always_eager"):
        assert conf.CELERY_ALWAYS_EAGER is True
    assert conf["CELERY_ALWAYS_EAGER"] is True
    assert "CELERY_ALWAYS_EAGER" not in dir(conf)


def test_the_old_and_the_new_name_with_two_values(conf: Configuration) -> None:
    with (
        pytest.raises(ImproperlyConfigured, match="are the same setting with two values"),
        pytest.warns(UmbelDeprecationWarning),
    ):
        conf.from_mapping({"CELERY_ALWAYS_EAGER": True, "task_always_eager": False})
    with pytest.warns(UmbelDeprecationWarning):
        conf.from_mapping({"CELERY_ALWAYS_EAGER": True, "task_always_eager": True})


@pytest.mark.parametrize("name", REMOVED)
def test_a_removed_setting_is_passed_over_with_a_warning(conf: Configuration, name: str) -> None:
    """[A571] [A585] [A597] [A603]"""
    with pytest.warns(UmbelDeprecationWarning, match=f"{name}, in .* has no effect: "):
        conf.from_object(types.SimpleNamespace(**{name: 1}))
    assert conf.changes() == {}


def test_old_names_of_plugins_are_kept_under_the_new_one(conf: Configuration) -> None:
    """[A494] [A510]"""
    with pytest.warns(UmbelDeprecationWarning), pytest.warns(ForeignSettingWarning):
        conf.from_mapping({"CELERY_REDIS_HOST": "h", "CELERY_RESULT_DBURI": "sqlite:///x"})
    assert conf.changes() == {"redis_host": "h", "database_url": "sqlite:///x"}


def test_djangos_namespace(conf: Configuration) -> None:
    settings = types.SimpleNamespace(
        DEBUG=True,
        ADMINS=[],
        CELERY_BROKER_URL="memory://",
        CELERY_TASK_ALWAYS_EAGER=True,
        CELERY_BEAT_SCHEDULE={"x": {"task": "t"}},
        CELERYD_NOT_OURS=1,
    )
    conf.from_object(settings, namespace="CELERY")
    assert conf.changes() == {
        "broker_url": "memory://",
        "task_always_eager": True,
        "beat_schedule": {"x": {"task": "t"}},
    }
    assert str(conf.origin("broker_url")).endswith("(CELERY_BROKER_URL)")


def test_old_names_inside_a_namespace(conf: Configuration) -> None:
    with pytest.warns(UmbelDeprecationWarning, match="task_always_eager"):
        conf.from_object(types.SimpleNamespace(CELERY_ALWAYS_EAGER=True), namespace="CELERY")
    assert conf.task_always_eager is True


def test_a_misspelt_name_inside_a_namespace(conf: Configuration) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"\(CELERY_TASK_ROUTS\); did you mean 'task_routes'"):
        conf.from_object(types.SimpleNamespace(CELERY_TASK_ROUTS={}), namespace="CELERY")


def test_a_third_partys_name_inside_a_namespace(conf: Configuration) -> None:
    with pytest.warns(ForeignSettingWarning, match="CELERY_EMAIL_CHUNK_SIZE, in .* is no setting of Umbel"):
        conf.from_object(types.SimpleNamespace(CELERY_EMAIL_CHUNK_SIZE=1), namespace="CELERY")


def test_a_forgotten_namespace_is_guessed(conf: Configuration) -> None:
    with pytest.raises(ImproperlyConfigured, match="namespace='CELERY'"):
        conf.from_object(types.SimpleNamespace(CELERY_BROKER_URL="memory://"))
