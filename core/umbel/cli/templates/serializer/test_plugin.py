"""Every test that a serializer must pass."""

from __future__ import annotations

import pytest

from umbel.host import Host
from umbel.spi import Serializer
from umbel.testing.serializers import SerializerContract


class TestDemo(SerializerContract):
    """The conformance suite. Override ``more_values`` for what your format holds beyond JSON's types."""

    @pytest.fixture
    def serializer(self) -> Serializer:
        """Return the serializer, found by its entry point."""
        return Host().serializer("demo")
