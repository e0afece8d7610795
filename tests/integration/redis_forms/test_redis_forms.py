"""Redis reached in every way that there is, by broker and result store together."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from umbel import Umbel
from umbel.exceptions import ImproperlyConfigured, OperationalError, UmbelError
from umbel.model import Message, Publication, Queue
from umbel.spi import JointBackend, JointTransport
from umbel.testing.redis_servers import RedisCluster, RedisReplicated, TlsRedisServer, ask_redis
from umbel.testing.servers import RedisServer, Server
from umbel.worker import Worker

PAGE = Path(__file__).parents[3] / "docs/reference/transports/redis.md"


def app_on(broker: str, backend: str | None = None, **settings: Any) -> Umbel:
    return Umbel("forms", broker=broker, backend=backend or broker, set_as_current=False, **settings)


def add_on(app: Umbel) -> int:
    """Run one task by a worker, and return its result."""

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    with Worker(app, pool="threads", concurrency=1):
        result: int = add.delay(2, 3).get(timeout=15)
    app.close()
    return result


def refusal(app: Umbel) -> str:
    with pytest.raises(UmbelError) as raised:
        app.open_transport(3.0)
    return str(raised.value)


# -- TLS --------------------------------------------------------------------------------------------------------------


def test_tls_with_options_in_the_url(tls_redis_server: TlsRedisServer) -> None:
    assert add_on(app_on(tls_redis_server.url)) == 5
    assert add_on(app_on(tls_redis_server.url + "&ssl_cert_reqs=CERT_REQUIRED")) == 5


def test_tls_with_celerys_settings(tls_redis_server: TlsRedisServer) -> None:
    tls = {"ssl_cert_reqs": "required", "ssl_ca_certs": str(tls_redis_server.certificates.authority)}
    plain = f"redis://127.0.0.1:{tls_redis_server.port}/0"
    assert add_on(app_on(plain, broker_use_ssl=tls, redis_backend_use_ssl=tls)) == 5


def test_an_unknown_authority_is_refused_unless_asked_for(tls_redis_server: TlsRedisServer) -> None:
    url = f"rediss://127.0.0.1:{tls_redis_server.port}/0"
    assert "certificate verify failed" in refusal(app_on(url))
    app = app_on(f"{url}?ssl_cert_reqs=CERT_NONE")
    app.open_transport().close()


def test_a_certificate_for_another_host_is_refused(tls_redis_server: TlsRedisServer) -> None:
    url = tls_redis_server.url.replace("127.0.0.1", "127.0.0.2")  # the same loopback, under another name
    assert "rediss://" in refusal(app_on(url))


def test_a_client_shows_its_certificate(tmp_path: Path, redis_server: Server) -> None:
    with TlsRedisServer(tmp_path, client_certificates=True) as server:
        made = server.certificates
        assert "cannot" in refusal(app_on(server.url))
        app = app_on(f"{server.url}&ssl_certfile={made.certificate}&ssl_keyfile={made.key}")
        app.open_transport().close()


def test_options_of_tls_need_tls() -> None:
    assert "write rediss://" in refusal(app_on("redis://127.0.0.1:1/0?ssl_ca_certs=/nowhere"))
    assert "ssl_cert_reqs" in refusal(app_on("rediss://127.0.0.1:1/0?ssl_cert_reqs=MAYBE"))


# -- users, sockets, versions -----------------------------------------------------------------------------------------


def test_the_smallest_acl_of_the_manual_is_enough(redis_server: Server) -> None:
    line = re.search(r"^ +user umbel (.*)$", PAGE.read_text(), re.MULTILINE)
    assert line is not None
    assert "OK" in ask_redis(redis_server.port, "ACL", "SETUSER", "clerk", "reset", *line[1].split())
    url = f"redis://clerk:secret@127.0.0.1:{redis_server.port}/5"
    assert add_on(app_on(url)) == 5
    text = refusal(app_on(url.replace("secret", "s3cret")))
    assert "check the user name and password" in text
    assert "s3cret" not in text


class SocketServer(RedisServer):
    """Listens on a Unix socket too."""

    def command(self) -> list[str]:
        return [*super().command(), "--unixsocket", str(self.folder / "redis.sock")]


def test_a_unix_socket(tmp_path: Path, redis_server: Server) -> None:
    with SocketServer(tmp_path):
        assert add_on(app_on(f"redis+socket://{tmp_path}/redis.sock?virtual_host=2")) == 5


@pytest.fixture
def older_server(redis_server: Server) -> Iterator[str]:
    """A server that says of itself that it is a Redis 6.0."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        with source, target, contextlib.suppress(OSError):  # the other direction may have closed both
            while data := source.recv(1 << 16):
                target.sendall(re.sub(rb"(?<=redis_version:)\d+\.\d+", b"6.0", data))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", redis_server.port))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_a_server_that_is_too_old_is_refused(older_server: str) -> None:
    app = app_on(older_server)
    expected = "expected Redis 6.2 or later, or Valkey, got Redis 6.0"
    assert expected in refusal(app)
    with pytest.raises(UmbelError, match=expected):
        _ = app.backend


# -- a cluster --------------------------------------------------------------------------------------------------------


def in_cluster(url: str, prefix: str) -> Umbel:
    options = {"global_keyprefix": prefix}
    return app_on(url, broker_transport_options=options, result_backend_transport_options=options)


def test_broker_and_results_in_a_cluster_are_one_store(redis_cluster: RedisCluster) -> None:
    app = in_cluster(redis_cluster.url, "{shop}.")
    transport = app.open_transport()
    assert isinstance(transport, JointTransport)
    assert isinstance(app.backend, JointBackend)
    assert transport.store_identity == app.backend.store_identity
    other = in_cluster(redis_cluster.url, "{mill}.").open_transport()
    assert isinstance(other, JointTransport)
    assert other.store_identity != transport.store_identity
    transport.close()
    other.close()
    assert add_on(app) == 5


@pytest.mark.parametrize("prefix", ["", "shop", "{}", "{shop", "shop}"])
def test_a_cluster_without_a_hash_tag_is_refused(prefix: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="global_keyprefix"):
        in_cluster("redis+cluster://127.0.0.1:1", prefix).open_transport(1.0)
    with pytest.raises(ImproperlyConfigured, match="global_keyprefix"):
        _ = in_cluster("redis+cluster://127.0.0.1:1", prefix).backend


def test_a_slot_that_moves_is_followed(redis_cluster: RedisCluster) -> None:
    app = in_cluster(redis_cluster.url, "{wanderer}")
    old = app.open_transport()
    queue = Queue(name="q")
    publication = Publication(Message(b"1"), queue, "", "q")
    slot = ask_redis(redis_cluster.nodes[0].port, "CLUSTER", "KEYSLOT", "{wanderer}").strip().removeprefix(":")
    ids = [ask_redis(node.port, "CLUSTER", "MYID").splitlines()[1] for node in redis_cluster.nodes]
    mine = next(
        at for at, node in enumerate(redis_cluster.nodes) if "MOVED" not in ask_redis(node.port, "GET", "{wanderer}")
    )
    for node in redis_cluster.nodes:
        assert "OK" in ask_redis(node.port, "CLUSTER", "SETSLOT", slot, "NODE", ids[mine - 1])
    with pytest.raises(OperationalError, match="no longer"):
        old.publish([publication], 5.0)
    old.close()
    new = app.open_transport()
    new.publish([publication], 5.0)
    assert new.count(["q"]) == [1]
    new.close()


# -- sentinels --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_worker_survives_a_fail_over(tmp_path: Path, redis_server: Server) -> None:
    """[DESIGN 5.1, 5.3]: consumption goes on at the new master; a call in between raises or is done."""
    options = {"master_name": RedisReplicated.master_name}
    with RedisReplicated(tmp_path) as servers:
        settings: dict[str, Any] = {"broker_transport_options": options, "result_backend_transport_options": options}
        app = app_on(servers.url, **settings, task_publish_timeout_s=3.0)

        @app.task
        def double(number: int) -> int:
            return 2 * number

        with Worker(app, pool="threads", concurrency=2) as worker:
            worker.wait_until_ready()
            assert [double.delay(number).get(timeout=15) for number in range(3)] == [0, 2, 4]
            # Redis copies asynchronously: what is to survive must have been copied.
            assert ask_redis(servers.master.port, "WAIT", "1", "10000").startswith(":1")
            failing = threading.Thread(target=servers.fail_over)
            failing.start()
            refused, accepted = 0, []
            while failing.is_alive():
                try:
                    accepted.append(double.apply_async((21,), retry=False))
                except OperationalError:
                    refused += 1
                    accepted.clear()  # sent to the old master, which may have taken them with it
            failing.join()
            assert refused
            assert [result.get(timeout=30) for result in accepted] == [42] * len(accepted)
            assert double.delay(50).get(timeout=30) == 100
        app.close()
