"""SIGKILL at every point of a message's way through the SQLite file, with counting.

The children are forked without any connection open, make their own, and are killed at a named point: right before or
right after the statement that commits, or whenever the parent pleases.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import umbel_backend_sqlite
import umbel_transport_sqlite
from umbel.model import Delivery, Message, Publication, Queue, Settlement, TaskMeta
from umbel.sqlite_file import Connection
from umbel.states import SUCCESS
from umbel_transport_sqlite import SqliteTransport

Q, DONE = Queue(name="q"), Queue(name="done")
SOON_S = 20.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def connect(url: str) -> SqliteTransport:
    transport = umbel_transport_sqlite.umbel_transport(None, url)
    transport.open(SOON_S)
    return transport


def messages(*bodies: str, queue: Queue = Q) -> list[Publication]:
    return [Publication(Message(body.encode()), queue, "", queue.name) for body in bodies]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_commit(number: int, *, after: bool) -> None:
    """Have this process die right before or after its *number*-th commit from now."""
    execute = Connection.execute
    seen = [0]

    def counting(self: Connection, statement: str, *values: Any) -> Any:
        if statement != "COMMIT":
            return execute(self, statement, *values)
        seen[0] += 1
        if seen[0] == number and not after:
            die()
        result = execute(self, statement, *values)
        if seen[0] == number:
            die()
        return result

    Connection.execute = counting  # type: ignore[assignment,method-assign]


def run_child(work: Callable[[Callable[[str], None]], None]) -> tuple[int, int]:
    """Fork a child that does *work*, which reports lines; return its process id and the pipe's reading end."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            pipe = open(writer, "w", buffering=1)  # noqa: SIM115 - open until death
            work(lambda line: print(line, file=pipe))
        finally:
            os._exit(3)
    os.close(writer)
    return child, reader


def reap(child: int, reader: int) -> list[str]:
    """Wait for the child to be killed and return what it reported."""
    with open(reader) as file:
        lines = file.read().splitlines()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    return lines


def drain(transport: SqliteTransport, queue: Queue, expected: int) -> list[Delivery]:
    """Take everything that comes, waiting for what the dead held."""
    consumer = transport.consume([queue], 0, "drain")
    got: list[Delivery] = []
    deadline = time.monotonic() + SOON_S
    while len(got) < expected and time.monotonic() < deadline:
        got += consumer.receive(100, 0.5)
    got += consumer.receive(100, 0.0)
    consumer.settle(Settlement(acks=got))
    consumer.close()
    return got


def check_whole(url: str) -> None:
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for table in ("umbel_ready", "umbel_delayed", "umbel_claimed", "umbel_bodies", "umbel_owners"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 6))
def test_publisher_killed_at_its_commit(url: str, number: int, after: bool) -> None:
    """What was accepted is there, whole batches only, each message once."""
    connect(url).close()

    def publish(report: Callable[[str], None]) -> None:
        transport = connect(url)
        transport.publish(messages("first"), SOON_S)
        report("first")
        kill_at_commit(number, after=after)
        for batch in range(100):
            transport.publish(messages(*(f"{batch}-{n}" + "x" * (3000 * (n % 2)) for n in range(10))), SOON_S)
            report(str(batch))

    accepted = reap(*run_child(publish))
    assert accepted == ["first", *map(str, range(number - 1))]
    batches = number - 1 + after
    transport = connect(url)
    got = Counter(delivery.message.body.split(b"x")[0].decode() for delivery in drain(transport, Q, 1 + batches * 10))
    transport.close()
    assert got == Counter(["first", *(f"{batch}-{n}" for batch in range(batches) for n in range(10))])
    check_whole(url)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 8))
def test_consumer_killed_at_its_commit(url: str, number: int, after: bool) -> None:
    """Odd commits claim, even ones settle. What was settled is gone; what was held comes again with another count."""
    names = [f"m{n}" for n in range(30)]
    transport = connect(url)
    transport.publish(messages(*names), SOON_S)
    transport.close()

    def consume(report: Callable[[str], None]) -> None:
        consumer = connect(url).consume([Q], 0, "victim")
        kill_at_commit(number, after=after)
        while got := consumer.receive(3, SOON_S):
            for delivery in got:
                report(f"{delivery.message.body.decode()} {delivery.delivery_count}")
            consumer.settle(Settlement(acks=got[:2], requeues=got[2:]))

    reap(*run_child(consume))
    settles = (number - (not after)) // 2
    claims = (number + after) // 2
    transport = connect(url)
    got = drain(transport, Q, 30 - 2 * settles)
    transport.close()
    counts = {delivery.message.body.decode(): delivery.delivery_count for delivery in got}
    assert len(got) == len(counts) == 30 - 2 * settles
    # Each claim handed out three: the one that was given back before (acknowledged next), and new ones.
    gone_with_their_deliveries = 3 * settles - 1 if settles else 0
    assert sum(counts.values()) == len(counts) + 3 * claims - gone_with_their_deliveries
    assert all(delivery.redelivered == (delivery.delivery_count > 1) for delivery in got)
    check_whole(url)


def test_workers_killed_at_any_time_do_everything_once(url: str) -> None:
    """A hundred workers die at random; each message's outcome, next message and acknowledgement happened once."""
    chance = random.Random(20261121)
    transport = connect(url)

    def work(report: Callable[[str], None]) -> None:
        mine = connect(url)
        backend = umbel_backend_sqlite.umbel_backend(None, url)
        backend.open(SOON_S)
        consumer = mine.consume([Q], 0, "worker")
        while True:
            held = consumer.receive(4, SOON_S)
            with backend.transaction() as transaction:
                names = [delivery.message.body.decode() for delivery in held]
                results = [TaskMeta(name, SUCCESS, name.encode()) for name in names]
                backend.store_jointly(transaction, results, ())
                mine.write_jointly(transaction, messages(*names, queue=DONE), Settlement(acks=held))

    accepted: list[str] = []
    children = [run_child(work), run_child(work)]
    for round_ in range(100):
        names = [f"r{round_}-{n}" for n in range(chance.randrange(12))]
        transport.publish(messages(*names), SOON_S) if names else None
        accepted += names
        time.sleep(chance.random() * 0.03)  # not to wait for anything: the time of death is to be any
        child, reader = children.pop(0)
        os.kill(child, signal.SIGKILL)
        reap(child, reader)
        children.append(run_child(work))
    done = drain(transport, DONE, len(accepted))
    for child, reader in children:
        os.kill(child, signal.SIGKILL)
        reap(child, reader)
    assert drain(transport, Q, 0) == drain(transport, DONE, 0) == []
    transport.close()
    assert Counter(delivery.message.body.decode() for delivery in done) == Counter(accepted)
    backend = umbel_backend_sqlite.umbel_backend(None, url)
    backend.open(SOON_S)
    assert all(backend.load(accepted))
    backend.close()
    check_whole(url)
