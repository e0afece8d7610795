"""What may be set, what is refused, and what the refusal says."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.exceptions import ImproperlyConfigured
from umbel.settings import OPTIONS, SAME, Configuration, UmbelDeprecationWarning
from umbel.settings.foreign import FOREIGN
from umbel.settings.kinds import Refused, kind_of


@pytest.fixture
def conf() -> Configuration:
    return Configuration()


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ImproperlyConfigured) as caught:
        call()
    return str(caught.value)


# -- the table is Celery's ---------------------------------------------------------------------------------------------


def test_every_setting_of_celery_is_known(celerys: ModuleType) -> None:
    assert set(celerys._OPTIONS) - OPTIONS.keys() - FOREIGN.keys() == set()


def test_every_default_is_celerys_or_says_that_it_differs(celerys: ModuleType) -> None:
    found = {}
    for name, row in OPTIONS.items():
        if name in celerys._OPTIONS and not row.own:
            expected = celerys._OPTIONS[name].default
            told = row.default if row.celery_default is SAME else row.celery_default
            if isinstance(expected, dt.timedelta):
                expected = expected.total_seconds()
            if told != expected:
                found[name] = (told, expected)
    assert found == {}


def test_the_defaults_that_differ_are_those_of_the_design() -> None:
    assert Configuration().task_acks_late is True
    assert Configuration().task_reject_on_worker_lost is True
    assert Configuration().task_track_started is False
    assert Configuration().task_max_deliveries == 3
    assert {name for name, row in OPTIONS.items() if row.celery_default is not SAME} == {
        "task_acks_late",
        "task_reject_on_worker_lost",
        "worker_autoscaler",
        "worker_consumer",
        "beat_scheduler",
    }


@pytest.mark.parametrize("name", OPTIONS)
def test_every_default_may_be_set_and_is_documented(name: str) -> None:
    row = OPTIONS[name]
    assert row.accept(row.default) == row.default
    assert row.doc.endswith(".")
    assert row.type != "Any" or row.kind is not None


def test_mutable_defaults_are_not_shared(conf: Configuration) -> None:
    conf.beat_schedule["x"] = {"task": "t"}
    assert Configuration().beat_schedule == {}
    assert conf["beat_schedule"] == {"x": {"task": "t"}}


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("task_always_eager", 1, True),
        ("task_time_limit", 30, 30.0),
        ("worker_concurrency", "auto", "auto"),
        ("worker_concurrency", 4.0, 4),
        ("imports", "tasks", ("tasks",)),  # B016: a lone string is accepted too
        ("imports", ["a", "b"], ("a", "b")),
        ("accept_content", {"json", "application/x-yaml"}, ("application/x-yaml", "json")),
        ("result_expires", dt.timedelta(hours=1), 3600.0),  # A548
        ("result_expires", None, None),  # B003: None disables
        ("result_backend_max_retries", math.inf, math.inf),
        ("task_default_delivery_mode", "transient", 1),  # A528
        ("broker_url", ["redis://a", "redis://b"], "redis://a;redis://b"),
        ("timezone", "UTC", "UTC"),
        ("timezone", dt.UTC, dt.UTC),
        ("task_default_rate_limit", "10/m", "10/m"),
        ("worker_umask", "022", "022"),
        ("worker_pool", "threads", "threads"),
    ],
)
def test_values_are_kept_as_their_type(conf: Configuration, name: str, value: Any, kept: Any) -> None:
    setattr(conf, name, value)
    assert getattr(conf, name) == kept
    assert type(getattr(conf, name)) is type(kept)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("task_always_eager", "yes", "expected true or false, got 'yes' (str)"),
        ("task_always_eager", "yes", "write True without quotes"),
        ("task_protocol", 3, "expected 1 or 2, got 3 (int)"),
        ("task_default_queue_type", "quorom", "did you mean 'quorum'?"),
        ("worker_concurrency", -1, "it must be 0 or more"),
        ("worker_concurrency", "4", "write the number without quotes"),
        ("worker_concurrency", True, "expected a whole number or 'auto', got True (bool)"),
        ("accept_content", [], "it must not be empty"),
        ("accept_content", [1], "expected a list of strings"),
        ("task_time_limit", 0, "it must be more than 0"),
        ("task_time_limit", math.nan, "expected a number"),
        ("result_expires", "1d", "expected a number of seconds or a timedelta"),
        ("timezone", "Europe/Londn", "did you mean 'Europe/London'?"),
        ("task_default_rate_limit", "10/x", "expected a rate such as '10/s'"),
        ("task_publish_retry_policy", {"max_retrys": 3}, "'max_retrys' is no key of a retry policy"),
        ("worker_umask", "9", "it must be an octal number up to 777"),
        ("beat_schedule", [], "expected a mapping, got [] (list)"),
        ("task_default_queue", "", "it must not be empty"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected_and_where(
    conf: Configuration, name: str, value: Any, expected: str
) -> None:
    before = getattr(conf, name)
    text = refusal(lambda: setattr(conf, name, value))
    assert text.startswith(f"{name}: ")
    assert expected in text
    assert f"in {__file__}, line " in text
    assert getattr(conf, name) == before


def test_a_refused_secret_is_not_shown(conf: Configuration) -> None:
    assert "4711" not in refusal(lambda: setattr(conf, "broker_password", 4711))
    assert "pw" not in refusal(lambda: conf.update(broker_url={"x": "redis://:pw@h"}))


def test_what_is_left_out_of_a_retry_policy_keeps_its_default(conf: Configuration) -> None:
    """[B008] all four keys are there in the end."""
    conf.task_publish_retry_policy = {"max_retries": None}
    assert conf.task_publish_retry_policy == {
        "max_retries": None,
        "interval_start": 0,
        "interval_max": 1,
        "interval_step": 0.2,
    }


def test_a_deprecated_setting_names_what_to_use(conf: Configuration) -> None:
    with pytest.warns(UmbelDeprecationWarning, match="use task_acks_on_failure and task_acks_on_timeout"):
        conf.task_acks_on_failure_or_timeout = False
    assert conf.task_acks_on_failure_or_timeout is False


# -- unknown names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("task_alway_eager", "task_always_eager"),
        ("worker_concurency", "worker_concurrency"),
        ("redis_sockt_timeout", "redis_socket_timeout"),
        ("CELERY_ALWAY_EAGER", "CELERY_ALWAYS_EAGER"),
        ("CELERY_TASK_ALWAYS_EAGER", "task_always_eager"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest(conf: Configuration, name: str, nearest: str) -> None:
    for attempt in (
        lambda: setattr(conf, name, 1),
        lambda: conf.update({name: 1}),
        lambda: conf.from_mapping({name: [1]}),
        lambda: conf.__setitem__(name, 1),
        lambda: conf.origin(name),
    ):
        text = refusal(attempt)
        assert text.startswith(f"unknown setting {name!r}, in ")
        assert repr(nearest) in text


@pytest.mark.parametrize("name", ["task_route", "CELERY_ROUTS"])
def test_a_misspelt_mapping_is_no_section(conf: Configuration, name: str) -> None:
    assert "did you mean" in refusal(lambda: conf.update({name: {"a": {}}}))


def test_reading_an_unknown_name(conf: Any) -> None:
    with pytest.raises(AttributeError):
        _ = conf.task_alway_eager
    with pytest.raises(KeyError, match="did you mean 'task_always_eager'"):
        _ = conf["task_alway_eager"]
    assert conf.get("task_alway_eager", 7) == 7
    assert "task_alway_eager" not in conf


# -- kinds -------------------------------------------------------------------------------------------------------------


@given(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.lists(st.text()), st.binary()
    )
)
def test_a_kind_either_keeps_a_value_or_refuses_it(value: Any) -> None:
    """Never another error, and what is kept is kept again."""
    for row in OPTIONS.values():
        try:
            kept = row.accept(value)
        except Refused:
            continue
        assert row.accept(kept) == kept


@given(st.text(max_size=30))
def test_a_kind_either_parses_text_or_refuses_it(text: str) -> None:
    for row in OPTIONS.values():
        try:
            kept = row.parse(text)
        except Refused:
            continue
        assert row.accept(kept) == kept or kept != kept


@given(st.booleans() | st.none(), st.integers(-1000, 1000), st.floats(allow_nan=False))
def test_text_of_a_value_is_that_value(boolean: bool | None, integer: int, number: float) -> None:
    assert kind_of("bool | None").parse(str(boolean)) is boolean
    assert kind_of("int | None").parse(str(integer)) == integer
    assert kind_of("float").parse(repr(number)) == number


def test_kinds_of_types_that_are_not_known_take_anything() -> None:
    assert kind_of("Sequence[Widget]").accept(object) is object
    assert kind_of(int).expected == "a whole number"
    assert kind_of("Literal['a', 'b'] | int | None").expected == "'a' or 'b' or a whole number"
