"""What is wrong with a file is said in one sentence, with what to do; nothing that was there is harmed."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import umbel_transport_sqlite
from umbel.exceptions import ImproperlyConfigured, OperationalError
from umbel.model import Publication, Queue, Settlement
from umbel.sqlite_file import SqliteFile, default_path
from umbel_transport_sqlite import SqliteTransport

Q = Queue(name="q")


def open_transport(path: Path | str, options: str = "") -> SqliteTransport:
    transport = umbel_transport_sqlite.umbel_transport(None, f"sqlite:///{path}{options}")
    transport.open(5.0)
    return transport


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Hold the write lock, as a program does that has forgotten its transaction."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


# -- URLs -------------------------------------------------------------------------------------------------------------


def test_paths_follow_sqlalchemys_convention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert SqliteFile.from_url("sqlite:///a/b.db").path == str(tmp_path / "a" / "b.db")
    assert SqliteFile.from_url("sqlite:////a/b%20c.db").path == "/a/b c.db"


def test_the_default_is_in_the_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UMBEL_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path("shop") == str(tmp_path / ".local" / "state" / "umbel" / "shop.db")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert default_path(None) == str(tmp_path / "state" / "umbel" / "default.db")
    monkeypatch.setenv("UMBEL_HOME", str(tmp_path / "home"))
    assert default_path("../a b") == str(tmp_path / "home" / "umbel" / ".._a_b.db")
    transport = umbel_transport_sqlite.umbel_transport(None, "sqlite://?synchronous=full")
    transport.open(5.0)
    transport.close()
    assert os.stat(tmp_path / "home" / "umbel").st_mode & 0o077 == 0
    assert os.path.exists(tmp_path / "home" / "umbel" / "default.db")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite://host/a.db", "no host"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///a.db?synchronos=full", "did you mean 'synchronous'"),
        ("sqlite:///a.db?synchronous=sometimes", "normal"),
        ("sqlite:///a.db?lease_s=-1", "positive number of seconds"),
        ("sqlite:///a.db?busy_timeout_s=long", "positive number of seconds"),
    ],
)
def test_a_wrong_url_is_refused_with_the_cure(url: str, words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        umbel_transport_sqlite.umbel_transport(None, url)


def test_one_file_has_one_identity(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    one = SqliteFile.from_url(f"sqlite:///{tmp_path}/a.db?lease_s=3")
    assert one.identity == SqliteFile.from_url(f"sqlite:///{tmp_path}/link/../link/a.db").identity
    assert one.identity != SqliteFile.from_url(f"sqlite:///{tmp_path}/b.db").identity


# -- files ------------------------------------------------------------------------------------------------------------


def test_the_file_is_for_the_user_alone(path: Path) -> None:
    transport = open_transport(path)
    for suffix in ("", "-wal", "-shm"):
        assert os.stat(f"{path}{suffix}").st_mode & 0o777 == 0o600
    transport.close()


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(OperationalError, match="see that its folder exists"):
        open_transport(tmp_path / "no" / "such" / "store.db")


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"#!/bin/sh\necho what?\n" * 1000)
    before = path.read_bytes()
    with pytest.raises(OperationalError, match="not an SQLite database"):
        open_transport(path)
    assert path.read_bytes() == before


def test_a_damaged_file(path: Path, publication: Callable[..., Publication]) -> None:
    transport = open_transport(path)
    transport.publish([publication(os.urandom(2000)) for _ in range(200)], 5.0)
    transport.close()
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (os.path.getsize(path) - 4096))
    with pytest.raises(OperationalError, match=r"damaged.*\.recover"):
        open_transport(path).publish([publication()] * 2, 5.0)


def test_a_file_of_a_newer_umbel(path: Path) -> None:
    open_transport(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE umbel_versions SET version = 99")
    with pytest.raises(OperationalError, match="newer"):
        open_transport(path)


@pytest.mark.parametrize("with_log", [False, True])
def test_a_file_that_may_only_be_read(publication: Callable[..., Publication], with_log: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to other users
        path = os.path.join(folder, "store.db")
        transport = open_transport(path)
        transport.publish([publication()], 5.0)
        if not with_log:
            transport.close()
        for name in (*os.listdir(folder), "."):
            os.chmod(os.path.join(folder, name), 0o555)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                if os.geteuid() == 0:  # whom no mode stops
                    os.setuid(65534)
                open_transport(path).publish([publication(), publication()], 5.0)
            except OperationalError as error:
                os.write(writer, str(error).encode())
            finally:
                os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        assert re.search("write access|may write there", os.read(reader, 1000).decode())
        os.close(reader)
        os.chmod(folder, 0o755)
        transport.close()


# -- locks and space --------------------------------------------------------------------------------------------------


def test_a_lock_that_is_held_too_long_is_given_up_at_the_deadline_and_nothing_is_lost(
    path: Path, publication: Callable[..., Publication]
) -> None:
    transport = open_transport(path, "?busy_timeout_s=0.4")
    consumer = transport.consume([Q], 0, "w")
    transport.publish([publication(b"1")], 5.0)
    [held] = consumer.receive(1, 1.0)
    with writing(path):
        for batch in ([publication(b"2")], [publication(b"3"), publication(b"4")]):
            started = time.monotonic()
            with pytest.raises(OperationalError, match="another process has held its write lock"):
                transport.publish(batch, 0.3)
            assert 0.25 < time.monotonic() - started < 3
        with pytest.raises(OperationalError, match="busy_timeout_s"):
            consumer.settle(Settlement(acks=[held]))
    consumer.settle(Settlement(requeues=[held]))
    transport.publish([publication(b"5")], 5.0)
    assert [delivery.message.body for delivery in consumer.receive(5, 1.0)] == [b"1", b"5"]
    transport.close()


HOLDING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


def test_a_short_lock_is_waited_for(path: Path, publication: Callable[..., Publication]) -> None:
    transport = open_transport(path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    threading.Timer(0.2, holder.communicate, ("go\n",)).start()
    transport.publish([publication()], 10.0)
    assert transport.count(["q"]) == [1]
    assert holder.wait(10) == 0


def fill(transport: SqliteTransport, publications: list[Publication], limit: int = 100) -> int:
    """Publish until it is refused; return how many times it was not."""
    accepted = []

    def publish() -> None:
        for _ in range(limit):
            transport.publish(publications, 5.0)
            accepted.append(publications)

    with pytest.raises(OperationalError, match="the disk is full; nothing of this was written"):
        publish()
    return len(accepted)


def test_a_full_disk_loses_nothing_that_was_taken(path: Path, publication: Callable[..., Publication]) -> None:
    transport = open_transport(path)
    consumer = transport.consume([Q], 0, "w")
    transport.publish([publication(b"%d" % n) for n in range(50)], 5.0)
    pages = transport._connection.execute("PRAGMA page_count").fetchone()[0]
    transport._connection.execute(f"PRAGMA max_page_count = {pages + 20}")
    message = publication(b"z" * 1500, "other")
    accepted = 50 + 10 * fill(transport, [message] * 10) + fill(transport, [message])
    assert sum(transport.count(["q", "other"])) == accepted
    got = consumer.receive(100, 1.0)
    assert [int(delivery.message.body) for delivery in got] == list(range(50))
    consumer.settle(Settlement(acks=got))
    transport.close()


FILE_LIMIT = """
import resource, signal, sys, umbel_transport_sqlite as plugin
from umbel.exceptions import OperationalError
from umbel.model import Message, Publication, Queue
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
transport = plugin.umbel_transport(None, f"sqlite:///{sys.argv[1]}")
transport.open(5.0)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
count = 0
try:
    while count < 100_000:
        transport.publish([Publication(Message(b"x" * 1000), Queue(name="q"), "", "q")] * 10, 5.0)
        count += 10
except OperationalError as error:
    print(count, error)
"""


def test_a_disk_that_fills_in_the_midst_of_a_commit(path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FILE_LIMIT, str(path)], capture_output=True, text=True, check=True
    ).stdout
    count, words = result.split(" ", 1)
    assert "disk" in words
    transport = open_transport(path)
    # Each batch is there whole or not at all; the one that was refused may not be there.
    assert transport.count(["q"]) == [int(count)]
    transport.close()
