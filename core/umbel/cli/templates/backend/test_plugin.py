"""Every test that a result backend with these capabilities must pass."""

from __future__ import annotations

import secrets

import pytest

from umbel.testing.backends import BackendContract


class TestDemo(BackendContract):
    """The conformance suite. Override its hooks to have faults injected into your store too."""

    @pytest.fixture
    def backend_url(self) -> str:
        """Return the URL of a fresh, empty store."""
        return f"demo://{secrets.token_hex(4)}"
