from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel import Umbel
from umbel.exceptions import ImproperlyConfigured
from umbel.host import Host
from umbel_scheduler_memory import MemoryScheduler


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"task": "a"}, "'task' and 'schedule'"),
        ({"schedule": 1}, "'task' and 'schedule'"),
        ({"task": "a", "schedule": 1, "arguments": ()}, "'task' and 'schedule'"),
        ("a", "'task' and 'schedule'"),
        ({"task": "a", "schedule": 0}, "above zero"),
        ({"task": "a", "schedule": "hourly"}, "seconds, a timedelta"),
        ({"task": "a", "schedule": True}, "seconds, a timedelta"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(entry: Any, said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=said) as raised:
        MemoryScheduler({"wrong": entry})
    assert "'wrong'" in str(raised.value)


def test_entries_come_from_the_settings_unless_options_have_them() -> None:
    app = Umbel("scheduled", set_as_current=False, beat_schedule={"a": {"task": "tasks.a", "schedule": 10}})
    host = Host()
    assert [entry.name for entry in host.scheduler(app, "memory", {}).entries()] == ["a"]
    assert host.scheduler(app, "memory", {"beat_schedule": {}}).entries() == []


@given(st.floats(0.01, 1e6), st.floats(0.0, 1e6))
def test_an_interval_is_never_due_early_and_never_slept_over(interval_s: float, after_s: float) -> None:
    scheduler = MemoryScheduler({"a": {"task": "a", "schedule": interval_s}})
    start = scheduler.entries()[0].last_run_at.timestamp()
    due, sleep_s = scheduler.due(start + after_s)
    assert bool(due) == (start + interval_s - (start + after_s) <= 0)
    if not due:
        assert sleep_s <= max(0.001, interval_s - after_s + 1e-6)


def test_an_object_that_asks_often_is_not_asked_in_a_loop() -> None:
    class Nervous:
        def is_due(self, last_run_at: object) -> tuple[bool, float]:
            return False, 0.0

    scheduler = MemoryScheduler({"a": {"task": "a", "schedule": Nervous()}})
    assert scheduler.due(time.time())[1] > 0
