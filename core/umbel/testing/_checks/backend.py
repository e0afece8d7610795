"""The suite over the backend that is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from umbel.testing.backends import BackendContract
from umbel.testing.plugins import fresh_url


class TestBackend(BackendContract):
    """Every test of a result backend."""

    @pytest.fixture
    def backend_url(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        """The URL of a fresh store."""
        return fresh_url(request.config.umbel_checked.url, str(tmp_path))  # type: ignore[attr-defined]
