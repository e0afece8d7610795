from __future__ import annotations

import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from umbel import Umbel
from umbel.host import Host
from umbel.spi import Scheduler

HOST = Host()


def made(schedule: Any) -> Scheduler:
    return HOST.scheduler(None, "memory", {"beat_schedule": {"a": {"task": "a", "schedule": schedule}}})


def test_entries_come_from_the_settings_unless_options_have_them() -> None:
    app = Umbel("scheduled", set_as_current=False, beat_schedule={"a": {"task": "tasks.a", "schedule": 10}})
    host = Host()
    assert [entry.name for entry in host.scheduler(app, "memory", {}).entries()] == ["a"]
    assert host.scheduler(app, "memory", {"beat_schedule": {}}).entries() == []


@given(st.floats(0.01, 1e6), st.floats(0.0, 1e6))
def test_an_interval_is_never_due_early_and_never_slept_over(interval_s: float, after_s: float) -> None:
    scheduler = made(interval_s)
    start = scheduler.entries()[0].last_run_at.timestamp()
    due, sleep_s = scheduler.due(start + after_s)
    # A datetime holds microseconds: within two of them either answer is right.
    if abs(interval_s - after_s) > 2e-6:
        assert bool(due) == (after_s >= interval_s)
    if not due:
        assert sleep_s <= max(0.001, interval_s - after_s + 2e-6)


def test_an_object_that_asks_often_is_not_asked_in_a_loop() -> None:
    class Nervous:
        def is_due(self, last_run_at: object) -> tuple[bool, float]:
            return False, 0.0

    scheduler = made(Nervous())
    assert scheduler.due(time.time())[1] > 0
