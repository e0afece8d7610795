"""What only the SQLite transport does, beside its contract."""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import os
import re
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umbel.bindings import topic_matches
from umbel.exceptions import EncodeError, OperationalError
from umbel.model import Delivery, Exchange, Message, Publication, Queue, Settlement
from umbel.spi import Consumer
from umbel_library_heads import heads
from umbel_transport_sqlite import SqliteTransport, places
from umbel_transport_sqlite.consumer import SqliteConsumer

Q = Queue(name="q")

#: A busy machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def rows(path: Path, statement: str, *values: Any) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def take_bodies(consumer: Consumer, limit: int = 1000, timeout_s: float = 0.0) -> list[bytes]:
    return [delivery.message.body for delivery in consumer.receive(limit, timeout_s)]


# -- places -----------------------------------------------------------------------------------------------------------


@unhurried
@given(st.integers(1, places.LAST_QUEUE), st.integers(-5, 15))
def test_places_stay_within_63_bits_and_their_queue(queue: int, priority: int) -> None:
    region = places.region(queue, priority)
    first, last = places.queue_bounds(queue)
    for given_back in (0, 1):
        low, high = places.bounds(region - given_back)
        assert first <= low < high <= last < 1 << 63
    assert places.queue_of(region) == places.queue_of(region - 1) == queue
    assert places.priority_of(region) == places.priority_of(region - 1) == min(max(priority, 0), 9)
    assert places.is_fresh(region)
    assert not places.is_fresh(region - 1)


@unhurried
@given(st.integers(0, 9), st.integers(0, 9))
def test_higher_priorities_come_first(one: int, other: int) -> None:
    assert (places.region(7, one) < places.region(7, other)) == (one > other)


# -- heads ------------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@unhurried
@given(st.dictionaries(st.text(st.characters(exclude_categories=())), JSON, max_size=5))
def test_headers_come_back_as_they_were(headers: dict[Any, Any]) -> None:
    head = heads.encode(Publication(Message(b"", headers), None, "x", "y"))
    message, exchange, routing_key, problem = heads.decode(head, b"")
    assert problem is None
    assert (message.headers, exchange, routing_key) == (headers, "x", "y")


def test_exotic_headers_survive() -> None:
    headers = {"big": 2**70, "raw": b"\x00\xff", "set": {1}, "lone": "\ud800", "inner": [{"raw": b""}]}
    message, *_ = heads.decode(heads.encode(Publication(Message(b"", headers), None)), b"")
    assert message.headers == {**headers, "set": [1]}
    ident, when = uuid.uuid4(), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    message, *_ = heads.decode(heads.encode(Publication(Message(b"", {"id": ident, "at": when}), None)), b"")
    assert message.headers == {"id": str(ident), "at": "2026-01-02T00:00:00+00:00"}


@pytest.mark.parametrize("headers", [{"x": object()}, {("a", "b"): 1}, {"f": len}])
def test_what_is_no_json_type_is_refused_with_its_name(headers: dict[Any, Any]) -> None:
    with pytest.raises(EncodeError, match="JSON types"):
        heads.encode(Publication(Message(b"", headers), None))


@unhurried
@given(st.none() | st.integers() | st.text() | st.binary(), st.none() | st.integers() | st.text() | st.binary())
def test_whatever_stands_in_a_row_can_be_read(head: Any, body: Any) -> None:
    message, _, _, problem = heads.decode(head, body)
    assert isinstance(message.body, bytes)
    assert problem


# -- routing ----------------------------------------------------------------------------------------------------------


@unhurried
@given(
    st.lists(st.sampled_from(["a", "b", "*", "#"]), max_size=5), st.lists(st.sampled_from(["a", "b", "c"]), max_size=6)
)
def test_topics_match_as_amqp_says(pattern: list[str], words: list[str]) -> None:
    special = {"*": r"\.[^.]+", "#": r"(?:\.[^.]+)*"}
    parts: list[str] = [special[part] if part in special else re.escape(f".{part}") for part in pattern]
    expected = re.fullmatch("".join(parts), "".join("." + word for word in words)) is not None
    if pattern and words:
        assert topic_matches(".".join(pattern), ".".join(words)) is expected


def test_a_topic_of_many_hashes_does_not_take_for_ever() -> None:
    started = time.monotonic()
    assert not topic_matches(".".join(["#"] * 60 + ["x"]), ".".join(["a"] * 60))
    assert time.monotonic() - started < 1


def test_a_new_binding_is_seen_by_a_connection_that_has_routed_before(connect: Callable[..., SqliteTransport]) -> None:
    one, other = connect(), connect()
    fan = Exchange(name="fan", kind="fanout")
    message = Publication(Message(b"x"), None, "fan", "")
    one.declare([Queue(name="a", exchange=fan)])
    one.publish([message], 5.0)
    other.declare([Queue(name="b", exchange=fan)])
    one.publish([message], 5.0)
    assert one.count(["a", "b"]) == [2, 1]


def test_a_deleted_queue_comes_back_empty_under_its_number(
    transport: SqliteTransport, publication: Callable[..., Publication], path: Path
) -> None:
    transport.publish([publication(), publication()], 5.0)
    [(number,)] = rows(path, "SELECT no FROM umbel_queues WHERE name = 'q'")
    transport.delete("q")
    assert transport.count(["q"]) == [0]
    transport.publish([publication(b"again")], 5.0)
    assert rows(path, "SELECT no FROM umbel_queues WHERE name = 'q'") == [(number,)]
    assert take_bodies(transport.consume([Q], 0, "w")) == [b"again"]


def test_a_deletion_by_another_is_survived_by_who_remembers_the_queue(
    connect: Callable[..., SqliteTransport], publication: Callable[..., Publication]
) -> None:
    one, other = connect(), connect()
    for _ in range(3):
        one.publish([publication()], 5.0)
    other.delete("q")
    one.publish([publication(b"after")], 5.0)
    assert take_bodies(other.consume([Q], 0, "w")) == [b"after"]


def test_the_number_of_a_queue_deleted_long_ago_is_free_unless_something_waits_there(
    transport: SqliteTransport, publication: Callable[..., Publication], path: Path
) -> None:
    for name in ("old", "used"):
        transport.publish([publication(queue=name)], 5.0)
        transport.delete(name)
    long_ago = time.time() - 10 * 86400
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE umbel_queues SET used_at = ?", (long_ago,))
        (number,) = connection.execute("SELECT no FROM umbel_queues WHERE name = 'used'").fetchone()
        # As a publisher does that has not heard of the deletion yet.
        connection.execute("INSERT INTO umbel_ready (id, head, body) VALUES ((? << 43) + 99, '', '')", (number,))
    transport.declare([Queue(name="new")])
    assert {name for (name,) in rows(path, "SELECT name FROM umbel_queues")} == {"used", "new"}
    assert transport.count(["used"]) == [1]


def test_time_to_live_and_length_of_a_queue_are_kept(transport: SqliteTransport) -> None:
    transport.declare([Queue(name="q", max_length=3), Queue(name="t", message_ttl_s=0.05)])
    for number in range(5):
        transport.publish([Publication(Message(str(number).encode()), None, "", "q")], 5.0)
    transport.publish([Publication(Message(b"t"), None, "", "t")], 5.0)
    assert take_bodies(transport.consume([Queue(name="q", max_length=3)], 0, "w")) == [b"2", b"3", b"4"]
    consumer = transport.consume([Queue(name="t", message_ttl_s=0.05)], 0, "w")
    deadline = time.monotonic() + 5
    while consumer.receive(1, 0.0):
        consumer.close()
        consumer = transport.consume([Queue(name="t", message_ttl_s=0.05)], 0, "w")
        assert time.monotonic() < deadline
    assert transport.count(["t"]) == [0]


def test_an_auto_delete_queue_goes_with_its_last_consumer(transport: SqliteTransport) -> None:
    queue = Queue(name="reply", exchange=Exchange(name="fan", kind="fanout"), auto_delete=True)
    one, other = transport.consume([queue], 0, "a"), transport.consume([queue], 0, "b")
    message = Publication(Message(b"x"), None, "fan", "")
    one.close()
    transport.publish([message], 5.0)
    assert transport.count(["reply"]) == [1]
    other.close()
    transport.publish([message], 5.0)
    assert transport.count(["reply"]) == [0]


def test_an_expiring_queue_goes_when_nobody_consumes_from_it(transport: SqliteTransport) -> None:
    fan = Exchange(name="fan", kind="fanout")
    kept, left = Queue(name="kept", exchange=fan, expires_s=0.05), Queue(name="left", exchange=fan, expires_s=0.05)
    consumer = transport.consume([kept], 0, "w")
    transport.declare([left])
    transport.publish([Publication(Message(b"x"), None, "fan", "")], 5.0)
    assert len(consumer.receive(5, 1.0)) == 1
    deadline = time.monotonic() + 10
    while transport.count(["left"]) != [0]:
        consumer.receive(1, 0.2)
        assert time.monotonic() < deadline
    transport.publish([Publication(Message(b"y"), None, "fan", "")], 5.0)
    assert transport.count(["kept", "left"]) == [1, 0]


# -- claims -----------------------------------------------------------------------------------------------------------


def test_a_settlement_that_comes_twice_touches_nothing_that_came_since(
    transport: SqliteTransport, publication: Callable[..., Publication]
) -> None:
    consumer = transport.consume([Q], 0, "w")
    transport.publish([publication(b"1")], 5.0)
    first = consumer.receive(1, 1.0)
    consumer.settle(Settlement(acks=first))
    transport.publish([publication(b"2")], 5.0)
    second = consumer.receive(1, 1.0)
    assert first[0].tag[0] == second[0].tag[0]  # the very same row
    consumer.settle(Settlement(acks=first, rejects=first, requeues=first))
    consumer.settle(Settlement(requeues=second))
    assert take_bodies(consumer) == [b"2"]


@pytest.mark.parametrize("big", [0, 100_000])
def test_given_back_messages_come_first_in_their_order(
    transport: SqliteTransport, publication: Callable[..., Publication], big: int
) -> None:
    padding = b"-" * big
    transport.publish([publication(b"%d" % n + padding, priority=n % 2) for n in range(10)], 5.0)
    consumer = transport.consume([Q], 0, "w")
    taken = consumer.receive(4, 1.0)
    consumer.settle(Settlement(requeues=taken[::-1]))
    assert [int(body.rstrip(b"-")) for body in take_bodies(consumer)] == [1, 3, 5, 7, 9, 0, 2, 4, 6, 8]


def test_big_bodies_leave_nothing_behind(
    transport: SqliteTransport, publication: Callable[..., Publication], path: Path
) -> None:
    big = os.urandom(50_000)
    consumer = transport.consume([Q], 0, "w")
    transport.publish([publication(big)], 5.0)
    transport.publish([publication(big, expires_at=time.time() - 1), publication(big), publication(big)], 5.0)
    taken = consumer.receive(10, 1.0)
    assert [delivery.message.body for delivery in taken] == [big] * 3
    consumer.settle(Settlement(acks=taken[:1], rejects=taken[1:2], requeues=taken[2:]))
    transport.settle(Settlement(acks=consumer.receive(1, 1.0)))
    transport.publish([publication(big), publication(big, deliver_at=time.time() + 60)], 5.0)
    assert transport.purge("q") == 2
    assert rows(path, "SELECT count(*) FROM umbel_bodies") == [(0,)]


def test_counting_is_exact_whatever_happened_before(
    transport: SqliteTransport, publication: Callable[..., Publication]
) -> None:
    transport.publish([publication(priority=n % 3) for n in range(30)], 5.0)
    consumer = transport.consume([Q], 0, "w")
    taken = consumer.receive(17, 1.0)
    consumer.settle(Settlement(acks=taken[:5], requeues=taken[5:9]))
    transport.publish([publication(deliver_at=time.time() + 60), publication()], 5.0)
    assert transport.count(["q", "unknown"]) == [30 - 17 + 4 + 2, 0]
    consumer.close()
    assert transport.count(["q"]) == [30 - 5 + 2]
    assert len(transport.consume([Q], 0, "w").receive(100, 1.0)) == 26


def test_a_consumer_whose_lease_ran_out_begins_anew(
    connect: Callable[..., SqliteTransport], publication: Callable[..., Publication]
) -> None:
    options = "?lease_s=1"
    one, other = connect(options), connect(options)
    stopped = one.consume([Q], 0, "stopped")
    one.publish([publication()], 5.0)
    [lost] = stopped.receive(1, 1.0)
    # Nobody renews, as in a process that was stopped.
    awake = other.consume([Q], 0, "awake")
    [found] = awake.receive(1, 10.0)
    assert found.delivery_count == 2
    stopped.extend()
    stopped.settle(Settlement(acks=[lost]))
    one.publish([publication(b"new")], 5.0)
    assert take_bodies(stopped, timeout_s=1.0) == [b"new"]
    awake.settle(Settlement(requeues=[found]))
    assert one.count(["q"]) == [1]


def test_a_consumer_that_is_forgotten_keeps_nothing(
    transport: SqliteTransport, publication: Callable[..., Publication]
) -> None:
    transport.publish([publication()], 5.0)
    assert take_bodies(transport.consume([Q], 0, "forgotten"), 1) == [b"x"]
    gc.collect()
    [again] = transport.consume([Q], 0, "w").receive(1, 10.0)
    assert again.delivery_count == 2


def test_waiting_takes_no_time_of_the_processor(transport: SqliteTransport) -> None:
    consumer = transport.consume([Q], 0, "w")
    before = time.thread_time()
    assert consumer.receive(1, 2.0) == []
    assert time.thread_time() - before < 0.02


def test_a_delayed_message_comes_on_time_to_who_was_asleep(
    transport: SqliteTransport, publication: Callable[..., Publication]
) -> None:
    consumer = transport.consume([Q], 0, "w")
    late = []
    for _ in range(5):
        got: list[Delivery] = []
        waiter = threading.Thread(target=lambda got=got: got.extend(consumer.receive(1, 10.0)))
        waiter.start()
        due = time.time() + 0.15
        transport.publish([publication(deliver_at=due)], 5.0)
        waiter.join()
        late.append(time.time() - due)
        consumer.settle(Settlement(acks=got))
    assert min(late) >= 0
    assert sorted(late)[2] < 0.1


def test_one_message_wakes_one_of_many_consumers(
    connect: Callable[..., SqliteTransport], publication: Callable[..., Publication]
) -> None:
    transport = connect()
    consumers = [connect().consume([Q], 0, str(n)) for n in range(5)]
    got = []
    threads = [threading.Thread(target=lambda c=c: got.extend(c.receive(1, 0.8))) for c in consumers]
    for thread in threads:
        thread.start()
    transport.publish([publication()], 5.0)
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_no_statement_of_the_hot_path_reads_a_whole_table(
    transport: SqliteTransport, publication: Callable[..., Publication], monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    from umbel.sqlite_file import Connection

    seen: set[str] = set()

    def noted(run: Callable[..., Any]) -> Callable[..., Any]:
        def execute(self: Connection, sql: str, *values: Any) -> Any:
            seen.add(sql)
            return run(self, sql, *values)

        return execute

    monkeypatch.setattr(Connection, "execute", noted(Connection.execute))
    monkeypatch.setattr(Connection, "executemany", noted(Connection.executemany))
    consumer = transport.consume([Q], 0, "w")
    seen.clear()
    transport.publish([publication(), publication(b"x" * 5000)], 5.0)
    transport.publish([publication()], 5.0)
    transport.publish([publication(deliver_at=time.time() + 0.01)], 5.0)
    taken = [consumer.receive(1, 1.0)[0] for _ in range(4)]
    transport.count(["q"])
    consumer.settle(Settlement(acks=taken[:2], requeues=taken[2:]))
    consumer.settle(Settlement(acks=consumer.receive(10, 1.0)))
    plans = {sql: rows(path, f"EXPLAIN QUERY PLAN {sql}", *[1] * sql.count("?")) for sql in seen if "umbel_" in sql}
    assert any("umbel_claimed" in sql for sql in plans)
    scans = {
        sql: step[3]
        for sql, plan in plans.items()
        for step in plan
        if step[3].startswith("SCAN") and not re.search("CONSTANT|umbel_topology|umbel_owners|SCAN [qc]$", step[3])
    }
    # min(due) is the first entry of an index.
    assert all("umbel_delayed_due" in step for step in scans.values()), scans


def test_a_forked_child_is_told_to_open_its_own(
    transport: SqliteTransport, publication: Callable[..., Publication]
) -> None:
    transport.publish([publication()], 5.0)
    child = os.fork()
    if child == 0:
        try:
            transport.publish([publication()], 5.0)
        except OperationalError as error:
            if "fork" not in str(error):
                os._exit(1)
            transport.open(5.0)
            transport.publish([publication(b"child")], 5.0)
            transport.close()
            os._exit(7)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert sorted(take_bodies(transport.consume([Q], 0, "w"))) == [b"child", b"x"]


def test_consumers_are_the_transports_own(transport: SqliteTransport) -> None:
    assert isinstance(transport.consume([Q], 0, "w"), SqliteConsumer)
