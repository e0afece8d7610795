"""The shipped suite over the SQLite transport, its faults included."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel.testing.transports import TransportContract


class TestSqliteTransport(TransportContract):
    @pytest.fixture
    def transport_url(self, tmp_path: Path) -> str:
        self.path = tmp_path / "store.db"
        return f"sqlite:///{self.path}?busy_timeout_s=0.5"

    def inject_garbage(self, queue: str, data: bytes) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            (number,) = connection.execute("SELECT no FROM umbel_queues WHERE name = ?", (queue,)).fetchone()
            connection.execute(
                "INSERT INTO umbel_ready (id, head, body) "
                "VALUES ((SELECT max(id) + 1 FROM umbel_ready WHERE id >> 43 = ?), ?, ?)",
                (number, data, data),
            )

    @contextlib.contextmanager
    def slow_store(self) -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
