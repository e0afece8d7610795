"""The servers that tests stand on, one of each for the whole run, started from the installed programs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from umbel.testing.redis_servers import RedisCluster, TlsRedisServer
from umbel.testing.servers import MissingProgram, PostgresServer, RabbitmqServer, RedisServer, Server

# How long an example takes says nothing on a machine that runs other tests beside it.
settings.register_profile("umbel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("umbel")


def _served(kind: type[Server], factory: pytest.TempPathFactory) -> Iterator[Server]:
    _check(kind)
    with kind(factory.mktemp(kind.__name__.lower())) as server:
        yield server


def _check(kind: type[Server]) -> None:
    try:
        kind.program()
    except MissingProgram as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _served(RedisServer, tmp_path_factory)


@pytest.fixture(scope="session")
def rabbitmq_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _served(RabbitmqServer, tmp_path_factory)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _served(PostgresServer, tmp_path_factory)


@pytest.fixture(scope="session")
def tls_redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _served(TlsRedisServer, tmp_path_factory)


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    _check(RedisServer)
    with RedisCluster(tmp_path_factory.mktemp("rediscluster")) as cluster:
        yield cluster
