"""The brokers to measure on: each is started for a run, emptied before each peer, and its own CPU is measured."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from bench.trees import Tree
from umbel.testing.servers import MissingProgram, PostgresServer, RabbitmqServer, RedisServer, Server

__all__ = ["BROKERS", "Broker", "running"]


class VolatileRedis(RedisServer):
    """Redis that writes nothing to the disk, as the peers' own benchmarks have it."""

    def command(self):
        options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        return (self.program(), "--port", str(self.port), "--dir", str(self.folder), *options)


def empty_redis(url):
    import redis

    redis.Redis.from_url(url).flushall()


def empty_rabbitmq(url):
    """Delete the queues of every peer: they give the same names different arguments."""
    import amqp

    port = int(url.rsplit(":", 1)[1].split("/")[0])
    for name in ("celery", "default", "default.DQ", "default.XQ"):
        with contextlib.suppress(amqp.AMQPError), amqp.Connection(f"127.0.0.1:{port}") as connection:
            connection.channel().queue_delete(name)


def empty_postgres(url):
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        schemas = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
        ).fetchall()
        for (name,) in schemas:
            connection.execute(f'DROP SCHEMA "{name}" CASCADE')
        connection.execute("CREATE SCHEMA public")


class Broker:
    """A broker that runs. *results* is a Redis for the results of peers whose broker keeps none."""

    def __init__(self, name, server=None, empty=None, results=""):
        self.name = name
        self.url = "" if server is None else server.url
        self.results = results
        self._tree = None if server is None else Tree(server.pid)
        self._empty = empty

    def reset(self):
        """Remove what the peer before has left."""
        if self._empty is not None:
            self._empty(self.url)

    def cpu(self):
        """Return the CPU seconds that the broker's processes have used; ``None`` where it has none."""
        return None if self._tree is None else self._tree.cpu()


#: Each broker with its server and what empties it. SQLite is a file in the folder of each peer.
BROKERS = {
    "sqlite": None,
    "redis": (VolatileRedis, empty_redis),
    "rabbitmq": (RabbitmqServer, empty_rabbitmq),
    "postgres": (PostgresServer, empty_postgres),
}


def start(kind: type[Server], closing):
    """Start a server in a folder of its own; both go with *closing*."""
    kind.program()
    folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="umbel-bench-", ignore_cleanup_errors=True)))
    return closing.enter_context(kind(folder / "server"))


@contextlib.contextmanager
def running(name):
    """Give the broker *name*, running. Raises :class:`~umbel.testing.servers.MissingProgram` where it is not installed."""
    with contextlib.ExitStack() as closing:
        if BROKERS[name] is None:
            yield Broker(name)
            return
        kind, empty = BROKERS[name]
        server = start(kind, closing)
        results = server.url if name == "redis" else ""
        if name == "rabbitmq":
            with contextlib.suppress(MissingProgram):
                results = start(VolatileRedis, closing).url
        yield Broker(name, server, empty, results)
