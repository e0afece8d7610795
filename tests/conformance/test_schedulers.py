"""The shipped suite over every installed scheduler."""

from __future__ import annotations

import pytest

from umbel.testing.schedulers import SchedulerContract


def test_every_installed_scheduler_is_under_test(uncovered) -> None:
    problems = uncovered("scheduler", globals())
    assert not problems


class TestMemory(SchedulerContract):
    plugin = "memory"

    @pytest.fixture
    def scheduler_name(self) -> str:
        return "memory"
