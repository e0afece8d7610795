"""The suite over the pool that is checked."""

from __future__ import annotations

import pytest

from umbel.testing.pools import PoolContract


class TestPool(PoolContract):
    """Every test of a pool."""

    @pytest.fixture
    def pool_name(self, request: pytest.FixtureRequest) -> str:
        """Its entry-point name."""
        return str(request.config.umbel_checked.name)  # type: ignore[attr-defined]
