"""The suite over the scheduler that is checked."""

from __future__ import annotations

import pytest

from umbel.testing.schedulers import SchedulerContract


class TestScheduler(SchedulerContract):
    """Every test of a scheduler."""

    @pytest.fixture
    def scheduler_name(self, request: pytest.FixtureRequest) -> str:
        """Its entry-point name."""
        return str(request.config.umbel_checked.name)  # type: ignore[attr-defined]
