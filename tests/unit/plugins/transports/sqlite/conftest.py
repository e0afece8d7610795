from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

import umbel_transport_sqlite
from umbel.model import Message, Publication, Queue


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def connect(path) -> Iterator[Callable[..., umbel_transport_sqlite.SqliteTransport]]:
    with contextlib.ExitStack() as stack:

        def connect(options: str = ""):
            transport = umbel_transport_sqlite.umbel_transport(None, f"sqlite:///{path}{options}")
            transport.open(5.0)
            stack.callback(transport.close)
            return transport

        yield connect


@pytest.fixture
def transport(connect):
    return connect()


@pytest.fixture
def publication():
    def make(body: bytes = b"x", queue: str = "q", headers=None, **options):
        return Publication(Message(body, headers or {}), Queue(name=queue), "", queue, **options)

    return make
