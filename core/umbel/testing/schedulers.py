"""The suite that proves a scheduler.

::

    import pytest
    from umbel.testing.schedulers import SchedulerContract

    class TestCalendar(SchedulerContract):
        @pytest.fixture
        def scheduler_name(self):
            return "calendar"

The scheduler is made by its entry point, so install the package (``pip install -e .``) before running the suite. Times
are given, so nothing waits.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from umbel.host import Host
from umbel.spi import ScheduleEntry, Scheduler
from umbel.testing.plugins import make_app

__all__ = ["SchedulerContract", "SchedulerStage"]


class _OnceAtNoon:
    """A schedule as users write them: due when told so."""

    def __init__(self) -> None:
        self.is_noon = False

    def is_due(self, last_run_at: Any) -> tuple[bool, float]:
        """Answer (due, seconds to the next look)."""
        return self.is_noon, 5.0


def _names(entries: Sequence[ScheduleEntry]) -> list[str]:
    return sorted(entry.name for entry in entries)


class SchedulerStage:
    """The author's fixture and hooks. See ``SchedulerContract``."""

    @pytest.fixture
    def scheduler_name(self) -> str:
        """The entry-point name of the scheduler. The one fixture that must be given."""
        pytest.fail(f"{type(self).__name__} must give a fixture 'scheduler_name': its entry-point name")

    def make_app(self) -> Any:
        """Return the app that the scheduler is made for; ``None`` means a plain ``Umbel``. May be overridden."""
        return None

    def make_scheduler(self, name: str, entries: Mapping[str, Any]) -> Scheduler:
        """Return the scheduler with *entries*, as ``beat_schedule`` has them. May be overridden."""
        return Host().scheduler(self.make_app() or make_app(), name, {"beat_schedule": entries})


class SchedulerContract(SchedulerStage):
    """Every test of a scheduler. Subclass it, and give the fixture ``scheduler_name``."""

    @pytest.fixture(autouse=True)
    def _on_stage(self, scheduler_name: str) -> Iterator[None]:
        self._name = scheduler_name
        with ExitStack() as self._closing:
            yield

    def scheduler(self, **entries: Any) -> Scheduler:
        """Return a scheduler with *entries*; a number stands for an entry every so many seconds."""
        whole = {
            name: entry if isinstance(entry, dict) else {"task": f"tasks.{name}", "schedule": entry}
            for name, entry in entries.items()
        }
        scheduler = self.make_scheduler(self._name, whole)
        self._closing.callback(scheduler.close)
        return scheduler

    def test_entries_are_those_given(self) -> None:
        options = {"queue": "q", "priority": 3}
        scheduler = self.scheduler(
            add={"task": "tasks.add", "schedule": 10.0, "args": (1, 2), "kwargs": {"x": 1}, "options": options},
            other=60,
        )
        by_name = {entry.name: entry for entry in scheduler.entries()}
        assert sorted(by_name) == ["add", "other"]
        add = by_name["add"]
        assert (add.task, list(add.args), dict(add.kwargs), dict(add.options)) == (
            "tasks.add",
            [1, 2],
            {"x": 1},
            options,
        )
        assert add.total_run_count == 0

    def test_nothing_is_due_before_its_time(self) -> None:
        scheduler = self.scheduler(a=10, b=60)
        due, sleep_s = scheduler.due(time.time())
        assert list(due) == []
        assert 0 < sleep_s <= 10.001

    def test_an_entry_is_due_after_its_interval_until_it_is_sent(self) -> None:
        scheduler = self.scheduler(a=10, b=60)
        now = time.time() + 11
        assert _names(scheduler.due(now)[0]) == ["a"]
        due, _ = scheduler.due(now)
        assert _names(due) == ["a"]
        scheduler.sent(due[0], now)
        due, sleep_s = scheduler.due(now)
        assert list(due) == []
        assert 0 < sleep_s <= 10.001
        assert {entry.name: entry.total_run_count for entry in scheduler.entries()} == {"a": 1, "b": 0}
        due, _ = scheduler.due(now + 10.1)
        assert _names(due) == ["a"]
        due, _ = scheduler.due(now + 61)
        assert _names(due) == ["a", "b"]

    def test_what_was_missed_is_sent_once(self) -> None:
        scheduler = self.scheduler(a=10)
        later = time.time() + 3600
        due, _ = scheduler.due(later)
        assert _names(due) == ["a"]
        scheduler.sent(due[0], later)
        assert list(scheduler.due(later + 1)[0]) == []

    def test_intervals_may_be_timedeltas(self) -> None:
        scheduler = self.scheduler(a=dt.timedelta(minutes=2))
        now = time.time()
        assert list(scheduler.due(now + 100)[0]) == []
        assert _names(scheduler.due(now + 121)[0]) == ["a"]

    def test_a_schedule_may_be_any_object_that_says_when_it_is_due(self) -> None:
        schedule = _OnceAtNoon()
        scheduler = self.scheduler(a=schedule)
        due, sleep_s = scheduler.due(time.time())
        assert list(due) == []
        assert 0 < sleep_s <= 5.0
        schedule.is_noon = True
        due, _ = scheduler.due(time.time())
        assert _names(due) == ["a"]

    def test_without_entries_it_sleeps(self) -> None:
        scheduler = self.scheduler()
        due, sleep_s = scheduler.due(time.time())
        assert list(due) == []
        assert 0 < sleep_s < float("inf")

    def test_the_clock_may_be_set_back(self) -> None:
        scheduler = self.scheduler(a=10)
        due, sleep_s = scheduler.due(time.time() - 86400)
        assert list(due) == []
        assert 0 < sleep_s < float("inf")

    def test_syncing_and_closing_twice(self) -> None:
        scheduler = self.scheduler(a=10)
        scheduler.sync()
        scheduler.close()
        scheduler.close()
