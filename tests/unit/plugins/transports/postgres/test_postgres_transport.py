"""What only the PostgreSQL transport does."""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from umbel import Umbel, chain, chord, group
from umbel.exceptions import ImproperlyConfigured, OperationalError
from umbel.model import Exchange, Message, Publication, Queue, Settlement
from umbel.testing.processes import ChildProcess
from umbel.testing.proxy import TcpProxy
from umbel_library_postgres import Address
from umbel_transport_postgres import PostgresTransport, PostgresTransportSettings, in_transaction, umbel_transport

Q = Queue(name="q")
SOON_S = 10.0


@pytest.fixture
def schema() -> str:
    return f"u{secrets.token_hex(4)}"


@pytest.fixture
def url(postgres_server: Any, schema: Any) -> str:
    return f"{postgres_server.url}?schema={schema}"


@pytest.fixture
def transport(url: Any) -> Iterator[PostgresTransport]:
    transport = umbel_transport(None, url)
    transport.open(SOON_S)
    yield transport
    transport.close()


@pytest.fixture
def connection(postgres_server: Any) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_server.url) as connection:
        yield connection


@pytest.fixture
def app(url: Any) -> Iterator[Umbel]:
    app = Umbel("shop", broker=url, set_as_current=False)
    app.task(name="pay")(lambda order=None: order)
    yield app
    app.close()


def messages(*bodies: bytes, queue: Queue = Q, **options: Any) -> list[Publication]:
    return [Publication(Message(body), queue, "", queue.name, **options) for body in bodies]


def drain(consumer: Any, count: int) -> list[bytes]:
    got: list[bytes] = []
    while len(got) < count:
        batch = consumer.receive(count - len(got), SOON_S)
        assert batch
        consumer.settle(Settlement(acks=batch))
        got += [delivery.message.body for delivery in batch]
    return got


def drain_deliveries(transport: Any) -> list[Any]:
    consumer = transport.consume([Queue(name="celery")], 0, "w")
    found = list(consumer.receive(10, SOON_S))
    consumer.close()
    return found


# -- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("postgres://u:p@h/db", "postgresql://u:other@h:5432/db?schema=x"),
        ("postgresql://u@h", "postgresql://u@h/u"),
        ("postgresql://u@h/db?sslmode=require", "postgresql://u@h/db"),
    ],
)
def test_urls_of_one_database_are_one_store(url: Any, same: Any) -> None:
    assert Address.of(url, "umbel").identity == Address.of(same, "umbel").identity
    assert Address.of(url, "umbel").identity != Address.of("postgresql://u@h/else", "umbel").identity


def test_a_wrong_url_is_told_without_its_password() -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        umbel_transport(None, "postgresql://u:s3cret@h/db?nonsense=1")
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("schema", ["Umbel", "a-b", "x;drop", "x" * 41, ""])
def test_a_schema_is_a_plain_name(schema: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="lower-case name"):
        umbel_transport(None, f"postgresql://h/db?schema={schema}")


def test_several_hosts_lead_to_the_one_that_can_be_written() -> None:
    assert Address.of("postgresql://a,b/db", "umbel").options["target_session_attrs"] == "read-write"


# -- tables -----------------------------------------------------------------------------------------------------------


def test_many_open_a_fresh_schema_at_once(url: Any) -> None:
    transports = [umbel_transport(None, url) for _ in range(6)]
    failures: list[BaseException] = []

    def open_it(transport: Any) -> None:
        try:
            transport.open(SOON_S)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it, args=(transport,)) for transport in transports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    for transport in transports:
        transport.close()


def test_newer_tables_are_left_alone(transport: Any, url: Any, schema: Any, connection: Any) -> None:
    connection.execute(f"UPDATE {schema}.versions SET version = 99")
    connection.commit()
    with pytest.raises(OperationalError, match="newer Umbel"):
        umbel_transport(None, url).open(SOON_S)


def test_a_dropped_schema_is_said(transport: Any, schema: Any, connection: Any) -> None:
    connection.execute(f"DROP SCHEMA {schema} CASCADE")
    connection.commit()
    with pytest.raises(OperationalError, match="schema"):
        transport.publish(messages(b"1"), SOON_S)


# -- routes -----------------------------------------------------------------------------------------------------------


def test_a_binding_of_another_connection_is_in_force_at_once(transport: Any, url: Any) -> None:
    exchange = Exchange(name="events", kind="fanout")
    first, second = Queue(name="a", exchange=exchange), Queue(name="b", exchange=exchange)
    transport.declare([first])
    event = Publication(Message(b"1"), None, "events", "x")
    transport.publish([event], SOON_S)
    other = umbel_transport(None, url)
    other.open(SOON_S)
    other.declare([second])
    transport.publish([event], SOON_S)
    assert transport.count(["a", "b"]) == [2, 1]
    other.delete("a")
    transport.publish([event], SOON_S)
    assert transport.count(["a", "b"]) == [0, 2]
    other.close()


def test_a_batch_of_now_and_later_is_written_at_once_or_not_at_all(
    transport: Any, schema: Any, connection: Any
) -> None:
    transport.declare([Q])
    mixed = [*messages(b"now"), *messages(b"later", deliver_at=time.time() + 60)]
    transport.publish(mixed, SOON_S)
    assert transport.count(["q"]) == [2]
    connection.execute(f"ALTER TABLE {schema}.delayed ADD CONSTRAINT no_more CHECK (place < 0) NOT VALID")
    connection.commit()
    with pytest.raises(Exception, match="no_more"):
        transport.publish(mixed, SOON_S)
    assert transport.count(["q"]) == [2]


def test_a_queue_is_held_to_its_length_and_its_time(transport: Any) -> None:
    short = Queue(name="short", max_length=3)
    transport.declare([short])
    transport.publish(messages(*[str(n).encode() for n in range(5)], queue=short), SOON_S)
    assert transport.count(["short"]) == [3]
    brief = Queue(name="brief", message_ttl_s=0.05)
    transport.publish(messages(b"1", queue=brief), SOON_S)
    consumer = transport.consume([short], 0, "w")
    assert drain(consumer, 3) == [b"2", b"3", b"4"]
    assert not consumer.receive(5, 1.3)
    consumer.add_queue(brief)
    assert not consumer.receive(5, 0)
    assert transport.count(["brief"]) == [0]  # not only passed over: removed
    consumer.close()


# -- claims -----------------------------------------------------------------------------------------------------------


def test_what_is_given_back_comes_before_a_backlog(transport: Any) -> None:
    transport.publish(messages(*[str(n).encode() for n in range(50)]), SOON_S)
    consumer = transport.consume([Q], 0, "w")
    first = consumer.receive(10, SOON_S)
    transport.settle(Settlement(requeues=first[3:5], acks=first[:3]))
    assert [one.message.body for one in consumer.receive(4, SOON_S)] == [b"3", b"4", b"10", b"11"]
    consumer.close()


def test_a_message_committed_late_is_found_behind_a_backlog(transport: Any, app: Any, connection: Any) -> None:
    """Its place is before those that were claimed meanwhile, from which the consumer reads on."""
    transport.declare([Q])
    with connection.transaction():
        transport.in_transaction(connection).publish(messages(b"late"), SOON_S)
        transport.publish(messages(*[b"x"] * 20), SOON_S)
        consumer = transport.consume([Q], 0, "w")
        assert drain(consumer, 15) == [b"x"] * 15
    assert sorted(drain(consumer, 6)) == [b"late", *[b"x"] * 5]
    consumer.close()


def test_a_consumer_that_was_given_up_begins_again(transport: Any, schema: Any, connection: Any) -> None:
    settings = PostgresTransportSettings(lease_s=0.6)
    stopped = PostgresTransport(transport._address.masked, settings)
    stopped.open(SOON_S)
    consumer = stopped.consume([Q], 0, "stopped")
    transport.publish(messages(b"1"), SOON_S)
    [held] = consumer.receive(5, SOON_S)
    other = transport.consume([Q], 0, "other")
    [again] = other.receive(5, SOON_S)  # after the lease
    assert again.delivery_count == 2
    consumer.settle(Settlement(acks=[held]))  # too late: silent
    assert not consumer.receive(5, 1.2)
    other.settle(Settlement(requeues=[again]))
    assert consumer.receive(5, SOON_S)[0].delivery_count == 3
    consumer.close()
    other.close()
    stopped.close()


def test_an_auto_delete_queue_goes_with_its_last_consumer(transport: Any) -> None:
    queue = Queue(name="reply", auto_delete=True)
    first, second = transport.consume([queue], 0, "a"), transport.consume([queue], 0, "b")
    transport.publish(messages(b"1", queue=queue), SOON_S)
    first.close()
    assert transport.count(["reply"]) == [1]
    second.close()
    assert transport.count(["reply"]) == [0]


def test_an_idle_consumer_does_not_poll(transport: Any, schema: Any, connection: Any, monkeypatch: Any) -> None:
    """It sleeps on its socket; once a second it renews its lease and looks around."""
    transport.declare([Q])
    consumer = transport.consume([Q], 0, "w")
    consumer.receive(1, 0.05)
    link = type(consumer._link)
    statements: list[str] = []
    run = link._run

    def noted(self: Any, text: Any, values: Any) -> Any:
        statements.append(text)
        return run(self, text, values)

    monkeypatch.setattr(link, "_run", noted)
    assert not consumer.receive(1, 2.5)
    assert len(statements) <= 3 * 8, statements
    consumer.close()


# -- deadlines --------------------------------------------------------------------------------------------------------


def test_a_server_that_stands_still_is_given_up(tmp_path: Any) -> None:
    from umbel.testing.servers import PostgresServer

    with PostgresServer(tmp_path / "pg") as server:
        transport = umbel_transport(None, server.url)
        transport.open(SOON_S)
        transport.publish(messages(b"1"), SOON_S)
        # Every process of it, for each connection has one of its own and a group of its own.
        with psycopg.connect(server.url, autocommit=True) as control:
            pids = [
                row[0] for row in control.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'umbel'")
            ]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            with pytest.raises(OperationalError, match="no answer in time"):
                transport.publish(messages(b"2"), 0.5)
            assert time.monotonic() - started < 3.0
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        transport.close()


def test_a_server_that_says_nothing_is_given_up_before_the_driver_would(postgres_server: Any) -> None:
    # The driver gives each attempt two seconds at least, and says so in other words.
    with TcpProxy("127.0.0.1", postgres_server.port) as proxy, proxy.holding():
        transport = umbel_transport(None, postgres_server.url.replace(f":{postgres_server.port}/", f":{proxy.port}/"))
        with pytest.raises(OperationalError, match="no answer in time"):
            transport.open(0.3)
        transport.close()


def test_a_killed_consumer_gives_back_within_seconds(transport: Any, url: Any) -> None:
    # [B991]
    with ChildProcess("transport", url) as child:
        child.call("ready")
        transport.publish(messages(b"1", b"2"), SOON_S)
        assert len(child.call("receive", queue="q", limit=2, timeout_s=SOON_S)) == 2
        child.kill()
    started = time.monotonic()
    consumer = transport.consume([Q], 0, "w")
    got: list[Any] = []
    while len(got) < 2 and time.monotonic() - started < 15:
        got += consumer.receive(2, 1.0)
    assert [one.delivery_count for one in got] == [2, 2]
    assert time.monotonic() - started < 12
    consumer.close()


# -- inside of the caller's transaction -------------------------------------------------------------------------------


@pytest.mark.parametrize("give", [lambda app, connection: connection, in_transaction], ids=["connection", "transport"])
def test_a_task_exists_exactly_if_the_callers_data_does(app: Any, connection: Any, give: Any) -> None:
    pay = app.tasks["pay"]
    connection.execute("CREATE TEMPORARY TABLE orders (no int)")
    connection.commit()
    connection.execute("INSERT INTO orders VALUES (1)")
    pay.apply_async((1,), connection=give(app, connection))
    pay.apply_async((1,), connection=give(app, connection), countdown=60)
    watching = app.open_transport()
    assert watching.count(["celery"]) == [0]
    connection.rollback()
    assert watching.count(["celery"]) == [0]
    connection.execute("INSERT INTO orders VALUES (2)")
    pay.apply_async((2,), connection=give(app, connection))
    consumer = watching.consume([Queue(name="celery")], 0, "w")
    assert not consumer.receive(1, 0.2)
    connection.commit()
    # Woken by the caller's commit.
    [delivery] = consumer.receive(5, SOON_S)
    assert delivery.message.headers["task"] == "pay"
    assert connection.execute("SELECT no FROM orders").fetchall() == [(2,)]
    consumer.close()
    watching.close()


def test_a_group_goes_into_the_callers_transaction(app: Any, connection: Any) -> None:
    with connection.transaction():
        group(app.tasks["pay"].s(1), app.tasks["pay"].s(2)).apply_async(connection=connection)
    watching = app.open_transport()
    assert watching.count(["celery"]) == [2]
    watching.close()


def test_a_chain_and_a_chord_go_into_the_callers_transaction(app: Any, connection: Any) -> None:
    pay = app.tasks["pay"]
    app.conf.result_backend = app.broker_url
    watching = app.open_transport()
    for workflow in (
        chain(pay.s(1), pay.si(2)),
        chord([pay.s(1), pay.s(2)], pay.s()),
        chain(pay.s(1), chord([pay.s()], pay.s())),
    ):
        workflow.apply_async(connection=connection)
        connection.rollback()
    assert watching.count(["celery"]) == [0]
    chain(pay.s(1), pay.si(2)).apply_async(connection=connection)
    chord([pay.s(1), pay.s(2)], pay.s()).apply_async(connection=connection)
    assert watching.count(["celery"]) == [0]
    connection.commit()
    # The first of the chain and the two parts: what follows is sent by those who run them.
    consumer = watching.consume([Queue(name="celery")], 0, "w")
    assert len(consumer.receive(10, SOON_S)) == 3
    consumer.close()
    watching.close()


def test_a_savepoint_of_the_caller_takes_back_what_was_sent_in_it(app: Any, connection: Any) -> None:
    pay = app.tasks["pay"]
    with connection.transaction():
        pay.apply_async((1,), connection=connection)
        with connection.transaction() as inner:
            pay.apply_async((2,), connection=connection)
            raise psycopg.Rollback(inner)
    watching = app.open_transport()
    [delivery] = drain_deliveries(watching)
    assert delivery.message.headers["argsrepr"] == "(1,)"
    watching.close()


def test_only_a_connection_to_the_brokers_database_will_do(app: Any, postgres_server: Any) -> None:
    with pytest.raises(TypeError, match=r"psycopg\.Connection"):
        in_transaction(app, object())
    elsewhere = psycopg.connect(postgres_server.url.rpartition("/")[0] + "/postgres")
    with elsewhere, pytest.raises(ImproperlyConfigured, match="broker's database"):
        app.tasks["pay"].apply_async(connection=elsewhere)


def test_other_brokers_say_that_they_cannot(connection: Any) -> None:
    app = Umbel("notes", broker=f"memory://{secrets.token_hex(4)}", set_as_current=False)
    app.task(name="note")(lambda: None)
    with pytest.raises(TypeError, match="foreign transaction"):
        app.tasks["note"].apply_async(connection=connection)
    with pytest.raises(ImproperlyConfigured, match="postgresql://"):
        in_transaction(app, connection)
    app.close()


def test_the_locks_of_the_caller_stop_nobody_else(app: Any, transport: Any, connection: Any) -> None:
    """A queue that does not exist yet is made outside of his transaction."""
    app.tasks["pay"].apply_async(connection=connection, queue="celery")
    transport.declare([Queue(name="other")])
    transport.publish(messages(b"1", queue=Queue(name="celery")), 2.0)
    connection.rollback()
    assert transport.count(["celery"]) == [1]
