from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import umbel_transport_sqlite
from umbel.model import Message, Publication, Queue
from umbel_transport_sqlite import SqliteTransport


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def connect(path: Path) -> Iterator[Callable[..., umbel_transport_sqlite.SqliteTransport]]:
    with contextlib.ExitStack() as stack:

        def connect(options: str = "") -> SqliteTransport:
            transport = umbel_transport_sqlite.umbel_transport(None, f"sqlite:///{path}{options}")
            transport.open(5.0)
            stack.callback(transport.close)
            return transport

        yield connect


@pytest.fixture
def transport(connect: Callable[..., SqliteTransport]) -> SqliteTransport:
    return connect()


@pytest.fixture
def publication() -> Callable[..., Publication]:
    def make(
        body: bytes = b"x", queue: str = "q", headers: dict[str, Any] | None = None, **options: Any
    ) -> Publication:
        return Publication(Message(body, headers or {}), Queue(name=queue), "", queue, **options)

    return make
