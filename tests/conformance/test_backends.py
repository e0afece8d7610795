"""The shipped suite over every installed result backend, a class each: its recipe for a fresh store, and its faults."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from umbel import Umbel
from umbel.spi import ResultBackend
from umbel.testing.backends import BackendContract
from umbel.testing.proxy import TcpProxy
from umbel.testing.redis_servers import RedisCluster, TlsRedisServer
from umbel.testing.servers import PostgresServer, Server, free_port


def test_every_installed_backend_is_under_test(uncovered: Callable[[str, Mapping[str, Any]], list[str]]) -> None:
    problems = uncovered("backend", globals())
    assert not problems


class TestMemory(BackendContract):
    plugin = "memory"

    @pytest.fixture
    def backend_url(self) -> str:
        return f"memory://{secrets.token_hex(8)}"


class TestDisabled(BackendContract):
    plugin = "disabled"

    @pytest.fixture
    def backend_url(self) -> str:
        return "disabled://"


class TestFilesystem(BackendContract):
    plugin = "filesystem"

    @pytest.fixture(params=["filesystem", "file"])
    def backend_url(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        self.root = tmp_path / "results"
        return f"{request.param}://{self.root}"

    def inject_garbage(self, task_id: str, data: bytes) -> None:
        [path] = [path for path in self.root.glob("results/*/*") if path.name == task_id]
        path.write_bytes(data)


class TestFilesystemSynced(BackendContract):
    plugin = "filesystem"

    @pytest.fixture
    def backend_url(self, tmp_path: Path) -> str:
        return f"filesystem://{tmp_path}/results?fsync=true"


class TestRedis(BackendContract):
    plugin = "redis"

    @pytest.fixture
    def backend_url(self, redis_server: Server) -> Iterator[str]:
        self.server = redis_server
        with TcpProxy("127.0.0.1", redis_server.port) as self.proxy:
            yield f"redis://127.0.0.1:{self.proxy.port}/3?socket_timeout=2"

    def inject_garbage(self, task_id: str, data: bytes) -> None:
        with redis.Redis(port=self.server.port, db=3) as client:
            client.set(f"celery-task-meta-{task_id}", data)

    def cut_connection(self, backend: ResultBackend) -> None:
        assert self.proxy.cut()

    @contextlib.contextmanager
    def slow_store(self) -> Iterator[None]:
        with self.proxy.holding():
            yield

    def unreachable_url(self) -> str:
        return f"redis://:s3cret@127.0.0.1:{free_port()}/0"


class TestRedisTls(BackendContract):
    plugin = "rediss"

    @pytest.fixture
    def backend_url(self, tls_redis_server: TlsRedisServer, monkeypatch: pytest.MonkeyPatch) -> str:
        options = {"ssl_cert_reqs": "CERT_REQUIRED", "ssl_ca_certs": str(tls_redis_server.certificates.authority)}
        monkeypatch.setenv("UMBEL_REDIS_BACKEND_USE_SSL", json.dumps(options))
        return f"rediss://127.0.0.1:{tls_redis_server.port}/3"


class TestRedisCluster(BackendContract):
    plugin = "redis+cluster"

    @pytest.fixture
    def backend_url(self, redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> str:
        prefix = f"{{{secrets.token_hex(4)}}}"  # another slot, so perhaps another node, for each test
        monkeypatch.setenv("UMBEL_RESULT_BACKEND_TRANSPORT_OPTIONS", json.dumps({"global_keyprefix": prefix}))
        return redis_cluster.url


class TestPostgres(BackendContract):
    plugin = "postgresql"

    @pytest.fixture
    def backend_url(self, postgres_server: PostgresServer) -> str:
        self.schema = f"b{secrets.token_hex(4)}"
        self.database = postgres_server.url
        return f"{self.database.replace('postgresql', 'postgres', 1)}?schema={self.schema}"

    def inject_garbage(self, task_id: str, data: bytes) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            statement = f"UPDATE {self.schema}.results SET payload = %s WHERE task_id = %s"
            connection.execute(statement.encode(), (data, task_id))

    def cut_connection(self, backend: ResultBackend) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'umbel' AND pid <> pg_backend_pid()"
            )

    @contextlib.contextmanager
    def slow_store(self) -> Iterator[None]:
        with psycopg.connect(self.database) as connection:
            connection.execute(f"LOCK TABLE {self.schema}.results".encode())
            yield

    def unreachable_url(self) -> str:
        return f"postgresql://umbel:s3cret@127.0.0.1:{free_port()}/umbel"


class TestRpc(BackendContract):
    plugin = "rpc"

    @pytest.fixture(params=["rabbitmq_server", "redis_server"])
    def backend_url(self, request: pytest.FixtureRequest) -> str:
        self.broker = request.getfixturevalue(request.param).url
        return "rpc://"

    def make_app(self) -> Any:
        return Umbel("conformance", broker=self.broker, backend="rpc://", set_as_current=False)


class TestSqlite(BackendContract):
    plugin = "sqlite"

    @pytest.fixture
    def backend_url(self, tmp_path: Path) -> str:
        self.file = tmp_path / "results.db"
        return f"sqlite:///{self.file}"

    @contextlib.contextmanager
    def slow_store(self) -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield
            connection.execute("ROLLBACK")
