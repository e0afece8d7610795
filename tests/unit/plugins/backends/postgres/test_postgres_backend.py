"""What only the PostgreSQL result backend does, and what it does together with the transport."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

import umbel_transport_postgres
from umbel.exceptions import BackendError, ImproperlyConfigured, OperationalError
from umbel.model import ChordPart, Message, Publication, Queue, Settlement, TaskMeta
from umbel.states import STARTED, SUCCESS
from umbel.testing.threads import in_thread
from umbel_backend_postgres import PostgresBackend, umbel_backend
from umbel_library_postgres import Address, Link, connect

Q = Queue(name="q")
SOON_S = 10.0


@pytest.fixture
def schema() -> str:
    return f"r{secrets.token_hex(4)}"


@pytest.fixture
def url(postgres_server: Any, schema: Any) -> str:
    return f"{postgres_server.url}?schema={schema}"


@pytest.fixture
def backend(url: Any) -> Iterator[PostgresBackend]:
    backend = umbel_backend(None, url)
    backend.open(SOON_S)
    yield backend
    backend.close()


@pytest.fixture
def transport(url: Any) -> Any:
    transport = umbel_transport_postgres.umbel_transport(None, url)
    transport.open(SOON_S)
    yield transport
    transport.close()


def meta(task_id: str, state: str = SUCCESS, attempt: int = 0) -> TaskMeta:
    return TaskMeta(task_id, state, b"{}", attempt=attempt)


def publication(body: bytes) -> Publication:
    return Publication(Message(body), Q, "", "q")


def test_both_halves_of_one_database_name_one_store(backend: Any, transport: Any, postgres_server: Any) -> None:
    assert backend.store_identity == transport.store_identity
    other = umbel_backend(None, postgres_server.url.rpartition("/")[0] + "/other")
    assert other.store_identity != transport.store_identity


def test_a_task_ends_in_one_transaction(backend: Any, transport: Any) -> None:
    transport.publish([publication(b"first")], SOON_S)
    consumer = transport.consume([Q], 0, "w")
    held = consumer.receive(1, SOON_S)
    part = ChordPart("g", "t", 0, SUCCESS, b"1", b"body", size=1)
    with backend.transaction() as transaction:
        transport.write_jointly(transaction, [publication(b"next")], Settlement(acks=held))
        joined, _ = backend.store_jointly(transaction, [meta("t")], [part])
        assert [chord.group_id for chord in joined] == ["g"]
        assert transport.count(["q"]) == [0]  # nobody sees it before the commit
    [following] = consumer.receive(5, SOON_S)
    assert following.message.body == b"next"
    assert backend.load(["t"])[0] is not None
    assert backend.join([part]) == []  # concluded with it
    consumer.close()
    assert transport.count(["q"]) == [1]


def test_what_is_rolled_back_has_not_happened(backend: Any, transport: Any) -> None:
    transport.publish([publication(b"first")], SOON_S)
    consumer = transport.consume([Q], 0, "w")
    held = consumer.receive(1, SOON_S)
    fresh = Queue(name="fresh")

    def crash() -> None:
        part = ChordPart("g", "t", 0, SUCCESS, b"1", b"body", size=1)
        with backend.transaction() as transaction:
            message = Publication(Message(b"x"), fresh, "", "fresh")
            transport.write_jointly(transaction, [message], Settlement(acks=held))
            backend.store_jointly(transaction, [meta("t")], [part])
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        crash()
    assert backend.load(["t"]) == [None]
    # The queue that was made in it is not remembered either.
    with backend.transaction() as transaction:
        transport.write_jointly(transaction, [Publication(Message(b"y"), fresh, "", "fresh")], Settlement())
    assert transport.count(["fresh"]) == [1]
    consumer.close()
    assert transport.count(["q"]) == [1]


@contextlib.contextmanager
def full_disk(database: str, table: str) -> Iterator[None]:
    """Have the server answer as it does when there is no room for another row of *table*."""
    make = (
        f"CREATE FUNCTION {table}_full() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END$$; "
        f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} EXECUTE FUNCTION {table}_full()"
    )
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(make.encode())
        yield
        admin.execute(f"DROP FUNCTION {table}_full CASCADE".encode())


def test_a_full_disk_is_an_outage_and_nothing_is_half_done(
    backend: Any, transport: Any, schema: Any, postgres_server: Any
) -> None:
    # [B991]
    transport.publish([publication(b"first")], SOON_S)
    consumer = transport.consume([Q], 0, "w")
    held = consumer.receive(1, SOON_S)

    def commit() -> None:
        with backend.transaction() as transaction:
            transport.write_jointly(transaction, [publication(b"next")], Settlement(acks=held))
            backend.store_jointly(transaction, [meta("t")], [])

    with full_disk(postgres_server.url, f"{schema}.results"), pytest.raises(BackendError, match="No space left"):
        commit()
    assert backend.load(["t"]) == [None]
    with full_disk(postgres_server.url, f"{schema}.ready"):
        with pytest.raises(BackendError, match="No space left"):
            commit()
        with pytest.raises(OperationalError, match="No space left"):
            transport.publish([publication(b"x")], SOON_S)
        with pytest.raises(OperationalError, match="No space left"):
            transport.publish([publication(b"x"), publication(b"y")], SOON_S)
    with full_disk(postgres_server.url, f"{schema}.claimed"):
        transport.publish([publication(b"second")], SOON_S)
        with pytest.raises(OperationalError, match="No space left"):
            consumer.receive(1, SOON_S)
    # The same connections go on as soon as there is room again, and each message is there once.
    commit()
    [stored] = backend.load(["t"])
    assert stored is not None
    assert sorted(one.message.body for one in receive_all(transport, 2)) == [b"next", b"second"]
    consumer.close()
    assert transport.count(["q"]) == [0]


def receive_all(transport: Any, count: int) -> list[Any]:
    consumer = transport.consume([Q], 0, "other")
    found: list[Any] = []
    while len(found) < count:
        batch = consumer.receive(count, SOON_S)
        assert batch
        consumer.settle(Settlement(acks=batch))
        found += batch
    consumer.close()
    return found


def test_a_batch_is_one_round_trip_and_all_or_nothing(
    backend: Any, url: Any, schema: Any, postgres_server: Any
) -> None:
    backend.store([meta("kept")])
    address = Address.of(url, schema)
    link = Link(connect(address, SOON_S, SOON_S), schema)
    insert = "INSERT INTO SCHEMA.groups (group_id, payload) VALUES (%s, '')"

    def count() -> int:
        with psycopg.connect(postgres_server.url) as other:
            return len(other.execute(f"SELECT FROM {schema}.groups".encode()).fetchall())

    with link.batch():
        link.send(insert, ("a",))
        assert link.rows("SELECT group_id FROM SCHEMA.groups") == [("a",)]  # it sees what it has done itself
        link.send(insert, ("b",))
        assert count() == 0
    assert count() == 2

    def crash() -> None:
        raise RuntimeError

    def fail(last: Callable[[], object]) -> None:
        with link.batch():
            link.send(insert, ("c",))
            last()

    with pytest.raises(psycopg.errors.UniqueViolation):
        fail(lambda: link.send(insert, ("a",)))
    with pytest.raises(psycopg.errors.UndefinedTable):
        fail(lambda: link.rows("SELECT 1 FROM SCHEMA.nothing"))
    with pytest.raises(RuntimeError):
        fail(crash)
    assert count() == 2
    assert link.rows("SELECT 1") == [(1,)]
    link.connection.close()


def test_a_batch_may_name_a_task_twice(backend: Any) -> None:
    backend.store([meta("t", STARTED), meta("t", SUCCESS), meta("t", "FAILURE", attempt=3), meta("u")])
    assert [found.state for found in backend.load(["t", "u"])] == [SUCCESS, SUCCESS]


def test_who_waits_is_told_and_does_not_poll(backend: Any, monkeypatch: Any, url: Any) -> None:
    looks: list[float] = []
    final = PostgresBackend._final

    def look(self: Any, ids: Any) -> Any:
        looks.append(time.monotonic())
        return final(self, ids)

    monkeypatch.setattr(PostgresBackend, "_final", look)
    waiting = in_thread(backend.wait, ["t"], SOON_S)
    other = umbel_backend(None, url)
    other.open(SOON_S)
    assert not threading.Event().wait(0.5)
    other.store([meta("t")])
    stored_at = time.monotonic()
    assert [found.task_id for found in waiting.result(SOON_S)] == ["t"]
    assert time.monotonic() - stored_at < 0.5
    assert len(looks) <= 4
    other.close()


def test_many_threads_wait_over_one_connection(backend: Any, postgres_server: Any) -> None:
    waiting = [in_thread(backend.wait, [f"t{number}"], SOON_S) for number in range(30)]
    assert not threading.Event().wait(0.3)
    with psycopg.connect(postgres_server.url) as connection:
        [(connections,)] = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'umbel' AND pid <> pg_backend_pid()"
        ).fetchall()
    assert connections == 2
    backend.store([meta(f"t{number}") for number in range(30)])
    for number, one in enumerate(waiting):
        assert [found.task_id for found in one.result(SOON_S)] == [f"t{number}"]


@pytest.mark.parametrize("count", [1, 1000])
def test_long_and_strange_ids_are_told_too(backend: Any, count: Any) -> None:
    ids = [f"{'ä' * 100}{number}" for number in range(count)] + ["with\nnewline", "x" * 9000]
    waiting = [in_thread(backend.wait, [task_id], SOON_S) for task_id in (ids[0], ids[-1], ids[-2])]
    assert not threading.Event().wait(0.2)
    started = time.monotonic()
    backend.store([meta(task_id) for task_id in ids])
    for one in waiting:
        assert one.result(SOON_S)
    assert time.monotonic() - started < 1.9


def test_two_who_store_the_same_in_opposite_orders_do_not_stop_each_other(backend: Any, url: Any) -> None:
    other = umbel_backend(None, url)
    other.open(SOON_S)
    ids = [f"t{number}" for number in range(200)]
    started = time.monotonic()

    def store(one: PostgresBackend, order: list[str]) -> None:
        for attempt in range(20):
            one.store([meta(task_id, "RETRY", attempt) for task_id in order])

    running = [in_thread(store, backend, ids), in_thread(store, other, ids[::-1])]
    for one in running:
        one.result(30)
    assert time.monotonic() - started < 20
    assert {found.attempt for found in backend.load(ids)} == {19}
    other.close()


def test_expired_results_are_gone_and_removed(backend: Any, schema: Any, postgres_server: Any) -> None:
    backend.store([TaskMeta("t", SUCCESS, b"{}", expires_s=0.05), meta("u")])
    assert not threading.Event().wait(0.1)
    assert [found and found.task_id for found in backend.load(["t", "u"])] == [None, "u"]
    assert backend.expire(time.time()) == 1


def test_a_wrong_url_is_told_without_its_password() -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        umbel_backend(None, "postgresql://u:s3cret@h/db?nonsense=1")
    assert "s3cret" not in str(raised.value)


def test_a_closed_backend_says_so(backend: Any) -> None:
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.load(["t"])
