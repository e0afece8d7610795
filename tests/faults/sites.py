"""What a run stands on: a broker and a result store of its own, with a proxy before the broker, and ways to hurt them."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import psycopg

from umbel.testing.proxy import TcpProxy
from umbel.testing.servers import PostgresServer, RabbitmqServer, RedisServer, Server

__all__ = ["SITES", "Site"]


class Site(ABC):
    """A broker, its result store, and a proxy each for the worker and for the caller."""

    kind: type[Server]
    #: The answers of a full disk that it can give; the runs take them in turn.
    fillings: Sequence[str] = ()
    #: How long the broker or the worker may take to find out that a connection is dead and what it held is free.
    lease_s = 8.0
    #: Settings with which a lease is over after three seconds or so.
    short_lease: Mapping[str, Any] = {"broker_transport_options": {"lease_s": 3}}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = self.kind(folder / "broker")
        self.proxies: dict[str, TcpProxy] = {}

    def __enter__(self) -> Self:
        self.server.start()
        self.proxies = {who: TcpProxy("127.0.0.1", self.server.port) for who in ("worker", "caller")}
        return self

    def __exit__(self, *exc_info: object) -> None:
        for proxy in self.proxies.values():
            proxy.close()
        self.server.thaw()
        self.server.__exit__(None, None, None)

    @property
    def broker_url(self) -> str:
        """The broker's URL, without a proxy."""
        return self.server.url

    @property
    def backend_url(self) -> str:
        """The result store's URL: the same server unless that cannot store."""
        return self.server.url

    def through(self, who: str, url: str) -> str:
        """Return *url* with the port of the proxy for *who* (``worker`` or ``caller``)."""
        return url.replace(f":{self.server.port}/", f":{self.proxies[who].port}/")

    @abstractmethod
    def full(self, how: str) -> contextlib.AbstractContextManager[None]:
        """Have no room left inside the ``with`` block."""


class _RedisOnALimitedDisk(RedisServer):
    def command(self) -> Sequence[str]:
        # A write beyond the limit is to be answered with an error, as on a full disk, and not with a signal.
        return ("/bin/sh", "-c", 'trap "" XFSZ; exec "$@"', "sh", *super().command())


class RedisSite(Site):
    """Redis with an append-only file; results in the same database."""

    kind = _RedisOnALimitedDisk
    fillings = ("memory", "disk")

    @contextlib.contextmanager
    def full(self, how: str) -> Iterator[None]:
        """``memory``: OOM answers; ``disk``: its append-only file can grow no more, hence MISCONF."""
        if how == "memory":
            with self._limited_memory():
                yield
            return
        pid = self.server._process.pid if self.server._process else 0
        size = sum(path.stat().st_size for path in (self.server.folder / "appendonlydir").glob("*.aof"))
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

    @contextlib.contextmanager
    def _limited_memory(self) -> Iterator[None]:
        self._say("CONFIG SET maxmemory 1")
        try:
            yield
        finally:
            self._say("CONFIG SET maxmemory 0")

    def _say(self, command: str) -> None:
        with socket.create_connection(("127.0.0.1", self.server.port), 5) as link:
            link.sendall(command.encode() + b"\r\n")
            answer = link.recv(200)
        assert answer == b"+OK\r\n", answer


class RabbitmqSite(Site):
    """RabbitMQ with durable queues; results in a Redis of their own, which nobody hurts."""

    kind = RabbitmqServer
    fillings = ("alarm",)
    short_lease: Mapping[str, Any] = {"broker_heartbeat": 2}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # What RabbitMQ cannot pass on while it starts, it would try again after three minutes: more than a run lasts.
        self.server = RabbitmqServer(
            folder / "broker", advanced="[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 5000}]}]."
        )

    def __enter__(self) -> Self:
        self._store = RedisServer(self.folder / "store")
        self._store.start()
        return super().__enter__()

    def __exit__(self, *exc_info: object) -> None:
        super().__exit__(*exc_info)
        self._store.__exit__(None, None, None)

    @property
    def backend_url(self) -> str:
        return self._store.url

    @contextlib.contextmanager
    def full(self, how: str) -> Iterator[None]:
        """Have it raise its disk alarm, which stops every connection that publishes."""
        self._control("set_disk_free_limit", "1000000000000000")
        try:
            yield
        finally:
            self._control("set_disk_free_limit", "50000000")

    def _control(self, *command: str) -> None:
        program = shutil.which("rabbitmqctl") or "/usr/sbin/rabbitmqctl"
        if os.geteuid() == 0 and Path("/usr/lib/rabbitmq/bin/rabbitmqctl").exists():
            program = "/usr/lib/rabbitmq/bin/rabbitmqctl"  # Debian's wrapper would become the user rabbitmq
        environment = {**os.environ, **self.server.environment()}
        node = environment["RABBITMQ_NODENAME"]
        environment.pop("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS")
        subprocess.run([program, "-n", node, *command], env=environment, check=True, capture_output=True, timeout=60)


_FULL: Final = """
CREATE OR REPLACE FUNCTION public.no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$
"""


class PostgresSite(Site):
    """PostgreSQL that writes through to the disk; results in the same database."""

    kind = PostgresServer
    fillings = ("disk",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = PostgresServer(folder / "broker", fsync=True)

    @contextlib.contextmanager
    def full(self, how: str) -> Iterator[None]:
        """Answer every new row with 53100, as the server does that cannot extend a file."""
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(_FULL)
            rows = connection.execute(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            ).fetchall()
            tables = [str(row[0]) for row in rows]
            for table in tables:
                connection.execute(
                    f"CREATE TRIGGER no_room BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION public.no_room()".encode()
                )
            try:
                yield
            finally:
                for table in tables:
                    connection.execute(f"DROP TRIGGER no_room ON {table}".encode())


class SqliteSite(Site):
    """A file: nothing to kill, nothing to cut."""

    short_lease: Mapping[str, Any] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proxies = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Nothing runs."""

    @property
    def broker_url(self) -> str:
        return f"sqlite:///{self.folder}/faults.db"

    @property
    def backend_url(self) -> str:
        return self.broker_url

    def through(self, who: str, url: str) -> str:
        return url

    def full(self, how: str) -> contextlib.AbstractContextManager[None]:
        raise NotImplementedError("the file's disk is the whole machine's")


#: The sites by the name that is given on the command line.
SITES: Final[dict[str, type[Site]]] = {
    "redis": RedisSite,
    "rabbitmq": RabbitmqSite,
    "postgres": PostgresSite,
    "sqlite": SqliteSite,
}
