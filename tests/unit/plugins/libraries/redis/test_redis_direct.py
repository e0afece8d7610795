"""The connection that needs no redis-py."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.connection
import redis.crc
import redis.exceptions
from tests.servers import need

from umbel.exceptions import ImproperlyConfigured
from umbel.testing.servers import RedisServer
from umbel_library_redis import Wire, errors
from umbel_library_redis.dialing import Dialer, identity_of
from umbel_library_redis.direct import Direct

_OPTIONS: dict[str, Any] = {
    "socket_timeout": 5.0,
    "socket_connect_timeout": 5.0,
    "socket_keepalive": True,
    "protocol": 2,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server of this module's own, since its users are changed."""
    need(RedisServer)
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


def test_a_transport_and_a_store_are_there_without_redis_py() -> None:
    code = (
        "import sys, umbel_transport_redis.transport, umbel_backend_redis.backend\n"
        "print(sorted({'redis', 'ssl', 'asyncio'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        ("NOSCRIPT No matching script.", errors.NoScriptError, "No matching script."),
        ("OOM command not allowed", errors.OutOfMemoryError, "command not allowed"),
        ("MOVED 3999 127.0.0.1:6381", errors.AskError, "3999 127.0.0.1:6381"),
        ("LOADING Redis is loading the dataset", errors.ConnectionError, "Redis is loading the dataset"),
        ("ERR max number of clients reached", errors.ConnectionError, "max number of clients reached"),
        ("ERR unknown command 'X'", errors.ResponseError, "unknown command 'X'"),
        ("MISCONF cannot persist", errors.ResponseError, "MISCONF cannot persist"),
    ],
)
def test_refusals_are_told_apart_as_redis_py_does(answer: str, kind: type[Exception], text: str) -> None:
    error = errors.as_error(answer)
    assert isinstance(error, kind)
    assert str(error) == text
    parser: Any = redis.connection.DefaultParser
    theirs = parser.parse_error(answer)
    assert type(theirs).__name__ in (type(error).__name__, "MovedError")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (redis.exceptions.ReadOnlyError("no"), errors.ReadOnlyError),
        (redis.exceptions.AuthenticationError("no"), errors.AuthenticationError),
        (redis.exceptions.NoPermissionError("no"), errors.ResponseError),
        (redis.exceptions.PubSubError("no"), errors.RedisError),
    ],
)
def test_an_error_of_redis_py_becomes_the_nearest_of_ours(theirs: Exception, ours: type[Exception]) -> None:
    with pytest.raises(errors.RedisError) as caught, errors.driver_errors():
        raise theirs
    assert type(caught.value) is ours


def test_user_password_and_database_of_the_url_are_used(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "it's", "on", ">a/b", "~*", "+@all")
    address = server.url.partition("://")[2].partition("/")[0]
    wire = Wire(Dialer(f"redis://it%27s:a%2Fb@{address}/3", _OPTIONS).connect(5.0))
    try:
        assert wire.call("ACL", "WHOAMI") == b"it's"
        assert b" db=3 " in wire.call("CLIENT", "INFO")
    finally:
        wire.close()
    with pytest.raises(errors.AuthenticationError):
        Dialer(f"redis://it%27s:wrong@{address}/3", _OPTIONS).connect(5.0)


def test_an_option_in_the_url_is_for_redis_py(server: RedisServer) -> None:
    connection = Dialer(f"{server.url}?health_check_interval=7", _OPTIONS).connect(5.0)
    try:
        assert not isinstance(connection, Direct)
    finally:
        connection.disconnect()


def test_a_port_that_is_none_is_refused_before_connecting() -> None:
    with pytest.raises(ImproperlyConfigured, match="port"):
        Dialer("redis://localhost:70000/0", _OPTIONS)


def test_a_fork_that_lets_go_of_a_connection_leaves_it_to_its_parent(server: RedisServer) -> None:
    connection = Dialer(server.url, _OPTIONS).connect(5.0)
    wire = Wire(connection)
    try:
        child = os.fork()
        if child == 0:
            connection.disconnect()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert wire.call("PING") == b"PONG"
    finally:
        wire.close()


@pytest.mark.parametrize("prefix", ["{shop}", "a{b}c", "plain", "{}odd", "{open"])
def test_the_slot_of_a_prefix_is_the_cluster_s(prefix: str) -> None:
    slot = redis.crc.key_slot(prefix.encode())
    assert identity_of("redis+cluster://localhost/0", None, prefix).endswith(f" {slot}")
