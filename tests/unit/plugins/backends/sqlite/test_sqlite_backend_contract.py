"""The shipped suite over the SQLite result backend, its faults included."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel.testing.backends import BackendContract


class TestSqliteBackend(BackendContract):
    @pytest.fixture
    def backend_url(self, tmp_path: Path) -> str:
        self.path = tmp_path / "store.db"
        return f"sqlite:///{self.path}?busy_timeout_s=1"

    def inject_garbage(self, task_id: str, data: bytes) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("UPDATE umbel_results SET payload = ? WHERE task_id = ?", (data, task_id))

    @contextlib.contextmanager
    def slow_store(self) -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
