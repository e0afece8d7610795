"""What only the SQLite result backend does, beside its contract."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import umbel_backend_sqlite
from umbel.exceptions import BackendError, BackendGetMetaError, BackendStoreError
from umbel.model import ChordPart, TaskMeta
from umbel.states import ALL_STATES, SUCCESS
from umbel_backend_sqlite import SqliteBackend


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def backend(path: Path) -> Iterator[SqliteBackend]:
    backend = umbel_backend_sqlite.umbel_backend(None, f"sqlite:///{path}?busy_timeout_s=0.5")
    backend.open(5.0)
    yield backend
    backend.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    st.uuids(),
    st.lists(st.tuples(st.sampled_from([*sorted(ALL_STATES), "PROGRESS"]), st.integers(0, 3)), min_size=1, max_size=8),
    st.booleans(),
)
def test_the_rule_of_the_database_is_the_rule_of_the_model(
    backend: SqliteBackend, ident: UUID, history: list[tuple[str, int]], at_once: bool
) -> None:
    """A state that may not be written over stands, one by one or in one batch."""
    backend.forget([str(ident)])
    metas = [TaskMeta(str(ident), state, b"%d" % n, attempt=attempt) for n, (state, attempt) in enumerate(history)]
    expected = None
    for meta in metas:
        if meta.may_replace(expected):
            expected = meta
    for batch in [metas] if at_once else [[meta] for meta in metas]:
        backend.store(batch)
    [found] = backend.load([str(ident)])
    assert expected is not None
    assert found is not None
    assert (found.state, found.payload, found.attempt) == (expected.state, expected.payload, expected.attempt)


def test_a_result_past_its_time_is_neither_seen_nor_in_the_way(backend: SqliteBackend) -> None:
    backend.store([TaskMeta("t", SUCCESS, b"old", expires_s=0.0), TaskMeta("u", SUCCESS, b"u")])
    assert [meta and meta.payload for meta in backend.load(["t", "u"])] == [None, b"u"]
    assert [meta.task_id for meta in backend.wait(["t", "u"], 1.0)] == ["u"]
    backend.store([TaskMeta("t", SUCCESS, b"new", expires_s=60.0)])
    [found] = backend.load(["t"])
    assert found is not None
    assert found.payload == b"new"
    assert found.expires_s is not None
    assert 50 < found.expires_s <= 60


def test_expiring_takes_chords_and_groups_along(backend: SqliteBackend, path: Path) -> None:
    backend.save_group("g", b"g", 10.0)
    backend.join([ChordPart("c", "t", 0, SUCCESS, b"", b"body", 2, 10.0)])
    backend.join([ChordPart("kept", "t", 0, SUCCESS, b"", b"body", 2)])
    assert backend.expire(time.time() + 60) == 0
    with contextlib.closing(sqlite3.connect(path)) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("umbel_groups", "umbel_chords", "umbel_chord_parts")
        ]
    assert counts == [0, 1, 1]


def test_waiting_takes_no_time_of_the_processor(backend: SqliteBackend) -> None:
    before = time.thread_time()
    assert backend.wait(["never"], 2.0) == []
    assert time.thread_time() - before < 0.02


def test_a_hundred_threads_wait_each_for_its_own(backend: SqliteBackend) -> None:
    got = {}
    threads = [
        threading.Thread(target=lambda n=n: got.update({n: backend.wait([f"t{n}"], 20.0)[0].payload}))
        for n in range(100)
    ]
    for thread in threads:
        thread.start()
    for n in range(100):
        backend.store([TaskMeta(f"t{n}", SUCCESS, b"%d" % n)])
    for thread in threads:
        thread.join()
    assert got == {n: b"%d" % n for n in range(100)}


def test_a_forked_child_makes_its_own_connection(backend: SqliteBackend) -> None:
    backend.store([TaskMeta("parents", SUCCESS, b"1")])
    child = os.fork()
    if child == 0:
        # As a thread that held the lock at the fork would leave it.
        backend.store([TaskMeta("childs", SUCCESS, b"2")])
        ok = all(backend.load(["parents", "childs"])) and backend.wait(["childs"], 1.0)
        backend.close()
        os._exit(7 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert all(backend.load(["parents", "childs"]))


def test_a_row_of_another_type_is_an_error_that_names_the_task(backend: SqliteBackend, path: Path) -> None:
    backend.store([TaskMeta("t", SUCCESS, b"1")])
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE umbel_results SET payload = 5")
    with pytest.raises(BackendGetMetaError, match="result of t") as raised:
        backend.load(["t"])
    assert raised.value.task_id == "t"


def test_a_lock_that_is_held_too_long_is_an_error_with_the_cure(backend: SqliteBackend, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for metas in ([TaskMeta("a", SUCCESS, b"")], [TaskMeta("a", SUCCESS, b""), TaskMeta("b", SUCCESS, b"")]):
            with pytest.raises(BackendStoreError, match="busy_timeout_s"):
                backend.store(metas)
        assert backend.load(["a"]) == [None]  # reading needs no lock
        connection.execute("ROLLBACK")
    backend.store([TaskMeta("a", SUCCESS, b"")])


def test_a_full_disk_is_an_error_and_keeps_what_was_there(backend: SqliteBackend) -> None:
    backend.store([TaskMeta("kept", SUCCESS, b"1")])
    connection = backend._connection()
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0] + 5}")
    with pytest.raises(BackendStoreError, match="the disk is full"):
        backend.store([TaskMeta(f"t{n}", SUCCESS, b"z" * 3000) for n in range(50)])
    assert [meta and meta.payload for meta in backend.load(["kept", "t0"])] == [b"1", None]


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to be one" * 100)
    backend = umbel_backend_sqlite.umbel_backend(None, f"sqlite:///{path}")
    with pytest.raises(BackendError, match="not an SQLite database"):
        backend.open(1.0)


def test_a_closed_backend_says_so(backend: SqliteBackend) -> None:
    backend.close()
    with pytest.raises(BackendError, match=r"call open\(\)"):
        backend.load(["t"])


def test_nothing_scans(backend: SqliteBackend, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from umbel.sqlite_file import Connection

    seen: set[str] = set()

    def noted(run: Callable[..., Any]) -> Callable[..., Any]:
        def execute(self: Connection, sql: str, *values: Any) -> Any:
            seen.add(sql)
            return run(self, sql, *values)

        return execute

    monkeypatch.setattr(Connection, "execute", noted(Connection.execute))
    monkeypatch.setattr(Connection, "executemany", noted(Connection.executemany))
    backend.store([TaskMeta("t", SUCCESS, b""), TaskMeta("u", SUCCESS, b"")])
    backend.load(["t"])
    backend.wait(["t", "u", "v"], 0.1)
    backend.forget(["u"])
    backend.join([ChordPart("c", f"t{n}", n, SUCCESS, b"", b"body", 2) for n in range(2)])
    backend.load_group("g")
    backend.expire(time.time())
    plans = []
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for sql in seen:
            if "umbel_" in sql and "CREATE" not in sql:
                plans += connection.execute(f"EXPLAIN QUERY PLAN {sql}", [1] * sql.count("?")).fetchall()
    steps = {step[3] for step in plans}
    assert any("umbel_results" in step for step in steps)
    # Chords and groups are few, and are gone through once in a while.
    assert {step for step in steps if "SCAN" in step} <= {"SCAN umbel_groups", "SCAN umbel_chords"}
