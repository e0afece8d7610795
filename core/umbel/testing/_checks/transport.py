"""The suite over the transport that is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from umbel.testing.plugins import fresh_url
from umbel.testing.transports import TransportContract


class TestTransport(TransportContract):
    """Every test of a transport."""

    @pytest.fixture
    def transport_url(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        """The URL of a fresh store."""
        return fresh_url(request.config.umbel_checked.url, str(tmp_path))  # type: ignore[attr-defined]
