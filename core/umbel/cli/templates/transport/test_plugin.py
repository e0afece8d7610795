"""Every test that a transport with these capabilities must pass."""

from __future__ import annotations

import secrets

import pytest

from umbel.testing.transports import TransportContract


class TestDemo(TransportContract):
    """The conformance suite. Override its hooks to have faults injected into your broker too."""

    @pytest.fixture
    def transport_url(self) -> str:
        """Return the URL of a fresh, empty store."""
        return f"demo://{secrets.token_hex(4)}"
