"""The shipped suite over every installed pool."""

from __future__ import annotations

import os

import pytest

from umbel.exceptions import PluginError
from umbel.host import Host
from umbel.testing.pools import PoolContract

HOST = Host()
#: One name for each plugin: several names may lead to one module.
NAMES = {plugin.module: plugin.name for plugin in reversed(HOST.installed("pool"))}


def test_the_plugins_of_this_repository_are_installed() -> None:
    names = {plugin.name for plugin in HOST.installed("pool")}
    assert {"prefork", "processes", "threads", "solo", "asyncio"} <= names


class TestPools(PoolContract):
    @pytest.fixture(params=sorted(NAMES.values()))
    def pool_name(self, request: pytest.FixtureRequest) -> str:
        name: str = request.param
        try:
            HOST.load("pool", name)
        except PluginError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        return name
