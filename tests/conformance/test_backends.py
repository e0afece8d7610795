"""The shipped suite over every installed result backend, a class each: its recipe for a fresh store, and its faults."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel.testing.backends import BackendContract


def test_every_installed_backend_is_under_test(uncovered) -> None:
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
    def backend_url(self, redis_server) -> str:
        return redis_server.url


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
