"""The shipped suite over every installed scheduler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from umbel.testing.schedulers import SchedulerContract


def test_every_installed_scheduler_is_under_test(uncovered: Callable[[str, Mapping[str, Any]], list[str]]) -> None:
    problems = uncovered("scheduler", globals())
    assert not problems


class TestPersistent(SchedulerContract):
    plugin = "persistent"

    @pytest.fixture
    def scheduler_name(self) -> str:
        return "persistent"

    @pytest.fixture(autouse=True)
    def _in_a_folder_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)


class TestMemory(SchedulerContract):
    plugin = "memory"

    @pytest.fixture
    def scheduler_name(self) -> str:
        return "memory"
