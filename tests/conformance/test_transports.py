"""The shipped suite over every installed transport, a class each: its recipe for a fresh store, and its faults."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from umbel.spi import Transport
from umbel.testing.proxy import TcpProxy
from umbel.testing.redis_servers import RedisCluster, TlsRedisServer
from umbel.testing.servers import PostgresServer, Server, free_port
from umbel.testing.transports import TransportContract
from umbel_transport_filesystem.names import folder_name


def test_every_installed_transport_is_under_test(uncovered: Callable[[str, Mapping[str, Any]], list[str]]) -> None:
    problems = uncovered("transport", globals())
    assert not problems


class TestMemory(TransportContract):
    plugin = "memory"

    @pytest.fixture
    def transport_url(self) -> str:
        return f"memory://{secrets.token_hex(8)}"


class TestFilesystem(TransportContract):
    plugin = "filesystem"

    @pytest.fixture
    def transport_url(self, tmp_path: Path) -> str:
        self.root = tmp_path / "with space" / "broker"
        return f"filesystem://{self.root}"

    def inject_garbage(self, queue: str, data: bytes) -> None:
        (self.root / "queues" / folder_name(queue) / f"stray {secrets.token_hex(4)}").write_bytes(data)


class TestFilesystemSynced(TransportContract):
    plugin = "filesystem"

    @pytest.fixture
    def transport_url(self, tmp_path: Path) -> str:
        return f"filesystem://{tmp_path}/broker?fsync=true"

    def test_ten_thousand_messages(self) -> None:
        pytest.skip("ten thousand times waiting for the disk proves nothing more than once")


class TestSqlite(TransportContract):
    plugin = "sqlite"

    @pytest.fixture
    def transport_url(self, tmp_path: Path) -> str:
        self.file = tmp_path / "broker.db"
        return f"sqlite:///{self.file}"

    def inject_garbage(self, queue: str, data: bytes) -> None:
        self.transport.publish([self.publication(self.queue(queue.removesuffix(f"-{self._token}")), b"good")], 5.0)
        with contextlib.closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(
                "UPDATE umbel_ready SET head = ?, body = ? WHERE id = (SELECT max(id) FROM umbel_ready)", (data, data)
            )

    @contextlib.contextmanager
    def slow_store(self) -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield
            connection.execute("ROLLBACK")


class BehindProxy(TransportContract):
    """A server that is shared by all tests, behind a proxy that cuts and holds connections."""

    url_through = ""

    @contextlib.contextmanager
    def proxied(self, server: Server) -> Iterator[str]:
        with TcpProxy("127.0.0.1", server.port) as self.proxy:
            yield self.url_through.format(port=self.proxy.port)

    def cut_connection(self, transport: Transport) -> None:
        assert self.proxy.cut()

    @contextlib.contextmanager
    def slow_store(self) -> Iterator[None]:
        with self.proxy.holding():
            yield

    def unreachable_url(self) -> str:
        return self.url_through.replace("127.0.0.1", "user:s3cret@127.0.0.1").format(port=free_port())


class TestRedis(BehindProxy):
    plugin = "redis"
    url_through = "redis://127.0.0.1:{port}/0"

    @pytest.fixture
    def transport_url(self, redis_server: Server) -> Iterator[str]:
        self.server = redis_server
        with self.proxied(redis_server) as url:
            yield url

    def inject_garbage(self, queue: str, data: bytes) -> None:
        with redis.Redis(port=self.server.port) as client:
            client.lpush(queue, data)


class TestRedisTls(BehindProxy):
    plugin = "rediss"

    @pytest.fixture
    def transport_url(self, tls_redis_server: TlsRedisServer) -> Iterator[str]:
        authority = tls_redis_server.certificates.authority
        self.url_through = f"rediss://127.0.0.1:{{port}}/0?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs={authority}"
        with self.proxied(tls_redis_server) as url:
            yield url


class TestRedisCluster(TransportContract):
    plugin = "redis+cluster"

    @pytest.fixture
    def transport_url(self, redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> str:
        prefix = f"{{{secrets.token_hex(4)}}}"  # another slot, so perhaps another node, for each test
        monkeypatch.setenv("UMBEL_BROKER_TRANSPORT_OPTIONS", json.dumps({"global_keyprefix": prefix}))
        return redis_cluster.url


class TestAmqp(BehindProxy):
    plugin = "amqp"
    url_through = "amqp://127.0.0.1:{port}//"

    @pytest.fixture
    def transport_url(self, rabbitmq_server: Server) -> Iterator[str]:
        with self.proxied(rabbitmq_server) as url:
            yield url


class TestPostgres(TransportContract):
    plugin = "postgresql"

    @pytest.fixture
    def transport_url(self, postgres_server: PostgresServer) -> str:
        self.schema = f"t{secrets.token_hex(4)}"
        self.database = postgres_server.url
        return f"{self.database}?schema={self.schema}"

    def inject_garbage(self, queue: str, data: bytes) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            statement = (
                f"INSERT INTO {self.schema}.ready (queue, rank, place, head, body) "
                f"SELECT no, 19, nextval('{self.schema}.places'), %s, %s FROM {self.schema}.queues WHERE name = %s"
            )
            connection.execute(statement.encode(), (data, data, queue))

    def cut_connection(self, transport: Transport) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'umbel' AND pid <> pg_backend_pid()"
            )

    @contextlib.contextmanager
    def slow_store(self) -> Iterator[None]:
        with psycopg.connect(self.database) as connection:
            connection.execute(f"LOCK TABLE {self.schema}.ready".encode())
            yield

    def unreachable_url(self) -> str:
        return f"postgresql://umbel:s3cret@127.0.0.1:{free_port()}/umbel"


class KombuContract(TransportContract):
    """kombu's transports are asked once a second."""

    lateness_s = 2.5

    def test_ten_thousand_messages(self) -> None:
        pytest.skip("kombu takes one message at a time, some with a look at all: minutes that prove nothing")


class TestKombuMemory(KombuContract):
    plugin = "kombu+memory"

    @pytest.fixture
    def transport_url(self) -> str:
        return "kombu+memory://"


class TestKombuFilesystem(KombuContract):
    plugin = "kombu+filesystem"

    @pytest.fixture
    def transport_url(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        folders = {name: str(tmp_path / name) for name in ("data", "control")}
        self.folder = tmp_path / "data"
        self.folder.mkdir()
        options = {"data_folder_in": folders["data"], "data_folder_out": folders["data"]}
        options["control_folder"] = folders["control"]
        monkeypatch.setenv("UMBEL_BROKER_TRANSPORT_OPTIONS", json.dumps(options))
        return "kombu+filesystem://"

    def inject_garbage(self, queue: str, data: bytes) -> None:
        (self.folder / f"0_{secrets.token_hex(4)}.{queue}.msg").write_bytes(data)


class TestKombuPostgresql(KombuContract):
    plugin = "sqla+"

    @pytest.fixture
    def transport_url(self, postgres_server: PostgresServer) -> str:
        self.database = postgres_server.url
        return self.database.replace("postgresql", "sqla+postgresql")

    @contextlib.contextmanager
    def slow_store(self) -> Iterator[None]:
        with psycopg.connect(self.database) as connection:
            connection.execute("LOCK TABLE kombu_message")
            yield

    def unreachable_url(self) -> str:
        return f"sqla+postgresql://umbel:s3cret@127.0.0.1:{free_port()}/umbel"


_SLOW = "moto answers one request after another: minutes that prove nothing about SQS"
_NOT_ON_SQS = {
    "test_a_message_of_five_megabytes": "SQS takes a megabyte",
    "test_queue_names_are_text_of_any_kind": "SQS knows letters, digits, - and _, 80 of them; kombu writes the rest as _",
    "test_a_queue_deleted_under_its_consumer_harms_nobody": "its consumer raises, and the worker makes another",
    "test_a_batch_keeps_its_order": _SLOW,
    "test_a_settlement_of_many_at_once": _SLOW,
    "test_messages_sent_one_by_one_keep_their_order": _SLOW,
    "test_many_processes_share_a_queue_without_seeing_a_message_twice": _SLOW,
    "test_many_threads_publish_while_many_receive": _SLOW,
    "test_many_threads_share_a_queue_without_seeing_a_message_twice": _SLOW,
    "test_no_queue_starves_another": _SLOW,
    "test_ten_threads_open_and_close_hundreds_of_times": _SLOW,
    "test_wakes_from_many_threads_lose_no_message": _SLOW,
}


class TestKombuSqs(KombuContract):
    plugin = "sqs"

    @pytest.fixture
    def transport_url(self, sqs_server: Server) -> str:
        return sqs_server.url

    @pytest.fixture(autouse=True)
    def _not_here(self, request: pytest.FixtureRequest) -> None:
        reason = _NOT_ON_SQS.get(request.node.originalname)
        if reason:
            pytest.skip(reason)

    def unreachable_url(self) -> str:
        return f"sqs://user:s3cret@127.0.0.1:{free_port()}//"


def test_the_filesystem_transport_leaves_nothing_behind(tmp_path: Path) -> None:
    """Claims, half-written files and listeners of those who closed in good order are gone."""
    from umbel.model import Message, Publication, Queue, Settlement
    from umbel.testing.plugins import make_transport

    transport = make_transport(f"filesystem://{tmp_path}")
    queue = Queue(name="q")
    consumer = transport.consume([queue], 0, "w")
    transport.publish([Publication(Message(b""), queue, "q", "q")] * 3, 5.0)
    consumer.settle(Settlement(acks=consumer.receive(3, 5.0)))
    consumer.close()
    transport.close()
    assert not list((tmp_path / "new").iterdir())
    assert not list((tmp_path / "claims").iterdir())
    assert [name for name in os.listdir(tmp_path / "queues" / "q") if not name.startswith(".")] == []
    assert [name for name in os.listdir(tmp_path / "bell") if not name.startswith("slots")] == []
