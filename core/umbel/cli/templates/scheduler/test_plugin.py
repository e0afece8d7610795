"""Every test that a scheduler must pass."""

from __future__ import annotations

import pytest

from umbel.testing.schedulers import SchedulerContract


class TestDemo(SchedulerContract):
    """The conformance suite."""

    @pytest.fixture
    def scheduler_name(self) -> str:
        """Return the name of the scheduler's entry point."""
        return "demo"
