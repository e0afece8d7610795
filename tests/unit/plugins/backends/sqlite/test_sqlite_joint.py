"""Transport and backend on one file: all of a commit, or nothing of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import umbel_backend_sqlite
import umbel_transport_sqlite
from umbel.exceptions import BackendError
from umbel.model import ChordPart, Delivery, Message, Publication, Queue, Settlement, TaskMeta
from umbel.states import SUCCESS
from umbel_backend_sqlite import SqliteBackend
from umbel_transport_sqlite import SqliteTransport

Q = Queue(name="q")


def publication(body: bytes, queue: str = "q") -> Publication:
    return Publication(Message(body), Queue(name=queue), "", queue)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def transport(url: str) -> Iterator[SqliteTransport]:
    transport = umbel_transport_sqlite.umbel_transport(None, url)
    transport.open(5.0)
    yield transport
    transport.close()


@pytest.fixture
def backend(url: str) -> Iterator[SqliteBackend]:
    backend = umbel_backend_sqlite.umbel_backend(None, f"{url}?busy_timeout_s=1")
    backend.open(5.0)
    yield backend
    backend.close()


def commit(
    transport: SqliteTransport, backend: SqliteBackend, held: Sequence[Delivery], fail: BaseException | None = None
) -> None:
    """What the worker's committer does: one transaction, and then the bells."""
    with backend.transaction() as transaction:
        joined, told = backend.store_jointly(
            transaction,
            [TaskMeta("t", SUCCESS, b"42")],
            [ChordPart("c", "t", 0, SUCCESS, b"42", b"the body", 1)],
        )
        bodies = [publication(chord.body, "bodies") for chord in joined]
        ring = transport.write_jointly(transaction, [publication(b"next", "new-queue"), *bodies], Settlement(acks=held))
        if fail:
            raise fail
    for after in (told, ring):
        assert after is not None
        after()


def test_the_same_file_has_the_same_identity_for_both(transport: SqliteTransport, backend: SqliteBackend) -> None:
    assert transport.store_identity == backend.store_identity


def test_all_of_a_commit_happens(transport: SqliteTransport, backend: SqliteBackend) -> None:
    transport.publish([publication(b"work")], 5.0)
    consumer = transport.consume([Q], 0, "w")
    held = consumer.receive(1, 1.0)
    commit(transport, backend, held)
    consumer.close()
    assert transport.count(["q", "new-queue", "bodies"]) == [0, 1, 1]
    assert [meta.payload for meta in backend.wait(["t"], 1.0)] == [b"42"]


@pytest.mark.parametrize("error", [RuntimeError("in the midst"), KeyboardInterrupt()])
def test_nothing_of_a_commit_that_fails_happens_and_it_can_be_repeated(
    transport: SqliteTransport, backend: SqliteBackend, error: BaseException
) -> None:
    transport.publish([publication(b"work")], 5.0)
    consumer = transport.consume([Q], 0, "w")
    held = consumer.receive(1, 1.0)
    with pytest.raises(type(error)):
        commit(transport, backend, held, error)
    assert transport.count(["q", "new-queue", "bodies"]) == [0, 0, 0]
    assert backend.load(["t"]) == [None]
    # The number that "new-queue" had for a moment was not remembered.
    transport.publish([publication(b"other", "other-queue")], 5.0)
    commit(transport, backend, held)
    assert transport.count(["q", "new-queue", "bodies", "other-queue"]) == [0, 1, 1, 1]
    [meta] = backend.load(["t"])
    assert meta is not None
    assert meta.payload == b"42"


def test_a_consumer_is_woken_by_what_a_commit_sends(transport: SqliteTransport, backend: SqliteBackend) -> None:
    new = transport.consume([Queue(name="new-queue")], 0, "w")
    woken = subprocess.Popen([sys.executable, "-c", WAITING, backend._file.path], stdout=subprocess.PIPE, text=True)
    assert woken.stdout is not None
    assert woken.stdout.readline() == "waiting\n"
    commit(transport, backend, [])
    assert [delivery.message.body for delivery in new.receive(1, 5.0)] == [b"next"]
    assert woken.communicate(timeout=10)[0] == "42\n"


WAITING = """
import sys, umbel_backend_sqlite as plugin
backend = plugin.umbel_backend(None, f"sqlite:///{sys.argv[1]}")
backend.open(5.0)
print("waiting", flush=True)
print(backend.wait(["t"], 10.0)[0].payload.decode())
"""


def test_a_lost_lease_does_not_bring_a_commit_down(transport: SqliteTransport, backend: SqliteBackend) -> None:
    transport.publish([publication(b"work")], 5.0)
    consumer = transport.consume([Q], 0, "w")
    held = consumer.receive(1, 1.0)
    consumer.close()
    commit(transport, backend, held)
    assert transport.count(["q"]) == [1]  # not its own any more: it will run again
    [meta] = backend.load(["t"])
    assert meta is not None
    assert meta.state == SUCCESS


def test_what_breaks_inside_comes_out_as_the_backends_error(transport: SqliteTransport, backend: SqliteBackend) -> None:
    with pytest.raises(BackendError, match=r"store\.db"), backend.transaction() as transaction:
        transaction.execute("SELECT * FROM no_such_table")
    backend.store([TaskMeta("after", SUCCESS, b"")])
