"""A server that refuses, or says nothing: what the caller is told, and when."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis
from tests.servers import need

from umbel.exceptions import OperationalError
from umbel.model import Message, Publication, Queue
from umbel.testing.servers import RedisServer
from umbel_transport_redis.settings import RedisTransportSettings
from umbel_transport_redis.transport import RedisTransport

QUEUE = Queue(name="q")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server of this module's own, since it is hurt."""
    need(RedisServer)
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


def publish(server: RedisServer, *bodies: bytes) -> None:
    transport = RedisTransport(server.url, RedisTransportSettings())
    transport.open(4.0)
    try:
        transport.publish([Publication(Message(body), QUEUE, "", "q") for body in bodies], 4.0)
    finally:
        transport.close()


@pytest.mark.parametrize("bodies", [(b"1",), (b"1", b"2")], ids=["alone", "in a transaction"])
def test_a_server_without_memory_is_an_operational_error(server: RedisServer, bodies: tuple[bytes, ...]) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")
        try:
            with pytest.raises(OperationalError, match="used memory > 'maxmemory'"):
                publish(server, *bodies)
        finally:
            client.config_set("maxmemory", "0")
        publish(server, *bodies)


def test_opening_at_a_silent_server_is_given_up_in_time(server: RedisServer) -> None:
    """Its kernel still takes connections."""
    transport = RedisTransport(server.url, RedisTransportSettings())
    server.freeze()
    try:
        started = time.monotonic()
        with pytest.raises(OperationalError):
            transport.open(0.5)
        assert time.monotonic() - started < 0.5 + 10.0  # and not the 30 s of socket_timeout
    finally:
        server.thaw()
