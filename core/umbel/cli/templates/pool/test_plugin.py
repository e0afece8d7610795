"""Every test that a pool with these capabilities must pass."""

from __future__ import annotations

import pytest

from umbel.testing.pools import PoolContract


class TestDemo(PoolContract):
    """The conformance suite."""

    @pytest.fixture
    def pool_name(self) -> str:
        """Return the name of the pool's entry point."""
        return "demo"
