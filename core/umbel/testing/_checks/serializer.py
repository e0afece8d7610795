"""The suites over every serializer and compressor of the plugin that is checked."""

from __future__ import annotations

from typing import Any

import pytest

from umbel.host import Host
from umbel.spi import Compressor, Serializer
from umbel.testing.serializers import CompressorContract, SerializerContract


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test the serializers, or compressors, that the plugin answers with."""
    checked = metafunc.config.umbel_checked  # type: ignore[attr-defined]
    module: Any = Host().load("serializer", checked.name).module
    for fixture in ("serializer", "compressor"):
        if fixture in metafunc.fixturenames:
            hook = getattr(module, f"umbel_{fixture}s", None)
            answers = hook() if hook is not None else ()
            metafunc.parametrize(fixture, answers, ids=[one.name for one in answers])


class TestSerializer(SerializerContract):
    """Every test of a serializer."""

    @pytest.fixture
    def serializer(self, request: pytest.FixtureRequest) -> Serializer:
        """One that the plugin answers with; never reached, since its tests are parametrized."""
        raise AssertionError


class TestCompressor(CompressorContract):
    """Every test of a compressor."""

    @pytest.fixture
    def compressor(self, request: pytest.FixtureRequest) -> Compressor:
        """One that the plugin answers with; never reached, since its tests are parametrized."""
        raise AssertionError
