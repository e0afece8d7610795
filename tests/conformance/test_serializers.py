"""The shipped suites over every installed serializer and compressor.

A plugin whose driver is missing is skipped on a laptop, and fails where ``CI`` is set.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from umbel.exceptions import PluginError
from umbel.host import Host
from umbel.spi import Compressor, Serializer, SigningKeys, SigningSerializer
from umbel.testing.serializers import CompressorContract, SerializerContract

HOST = Host()
NAMES = sorted({plugin.name for plugin in HOST.installed("serializer")})


def modules() -> dict[str, str]:
    """Return one entry-point name for each installed module: several names may lead to one."""
    return {plugin.module: plugin.name for plugin in reversed(HOST.installed("serializer"))}


def answers(hook: str) -> list[Any]:
    """Return a parameter for each thing that a plugin answers *hook* with, or one that fails or skips for its error."""
    found: list[Any] = []
    for module, name in modules().items():
        try:
            plugin = HOST.load("serializer", name).module
        except PluginError as error:
            mark = [] if os.environ.get("CI") else [pytest.mark.skip(reason=str(error))]
            found.append(pytest.param(error, id=module, marks=mark))
            continue
        implementation = getattr(plugin, hook, None)
        found += [pytest.param(one, id=one.name) for one in (implementation() if implementation else ())]
    return found


def opened(param: Any) -> Any:
    if isinstance(param, Exception):
        raise param
    return param


def test_the_plugins_of_this_repository_are_installed() -> None:
    assert {"json", "pickle", "yaml", "msgpack", "auth"} <= set(NAMES)
    assert {"gzip", "zlib", "bzip2", "bzip", "lzma", "xz", "zstd", "zstandard", "brotli"} <= set(NAMES)


class TestSerializers(SerializerContract):
    @pytest.fixture(params=answers("umbel_serializers"))
    def serializer(self, request: pytest.FixtureRequest) -> Serializer:
        serializer: Serializer = opened(request.param)
        if isinstance(serializer, SigningSerializer):
            me = request.getfixturevalue("make_identity")("conformance")
            key, certificate = Path(me.key).read_bytes(), Path(me.cert).read_bytes()
            keys = SigningKeys(key=key, key_password=None, certificate=certificate, store=me.store, digest="sha256")
            serializer.set_up(keys, HOST.serializer("json"), {})
        return serializer


class TestCompressors(CompressorContract):
    @pytest.fixture(params=answers("umbel_compressors"))
    def compressor(self, request: pytest.FixtureRequest) -> Compressor:
        compressor: Compressor = opened(request.param)
        return compressor
