from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.exceptions import DecodeError, ImproperlyConfigured, OperationalError
from umbel.model import Exchange, Message, Publication, Queue, Settlement
from umbel_transport_filesystem import FilesystemTransport
from umbel_transport_filesystem.files import decode, encode
from umbel_transport_filesystem.names import WaitingName, folder_name

QUEUE = Queue(name="q")


@pytest.fixture
def transport(tmp_path: Path) -> Iterator[FilesystemTransport]:
    transport = FilesystemTransport(f"filesystem://{tmp_path}/broker")
    transport.open(1.0)
    yield transport
    transport.close()


def publication(body: bytes = b"", queue: Queue = QUEUE, **options: Any) -> Publication:
    return Publication(Message(body), queue, queue.exchange.name, queue.routing_key, **options)


names = st.builds(
    WaitingName,
    st.integers(0, 9),
    st.integers(0, 10**20 - 1),
    st.integers(0, 10**17 - 1),
    st.integers(0, 9999),
    st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
)


@given(names)
def test_a_file_name_is_read_as_it_was_written(name: WaitingName) -> None:
    assert WaitingName.parse(str(name)) == name


@given(names, names)
def test_file_names_sort_in_the_order_of_delivery(one: WaitingName, other: WaitingName) -> None:
    if (one.priority, one.place) != (other.priority, other.place):
        assert (str(one) < str(other)) == ((-one.priority, one.place) < (-other.priority, other.place))


@given(st.text())
def test_any_file_name_is_a_message_of_some_kind(text: str) -> None:
    name = WaitingName.parse(text)
    assert WaitingName.parse(str(name)) == name


@given(st.lists(st.text(max_size=400), min_size=2, max_size=2, unique=True))
def test_two_queues_never_share_a_folder(pair: list[str]) -> None:
    one, other = map(folder_name, pair)
    assert one.lower() != other.lower()
    for name in (one, other):
        assert len(name) < 255
        assert "/" not in name
        assert name not in {"", ".", ".."}


@given(st.binary(max_size=300))
def test_garbage_is_never_taken_for_a_message(data: bytes) -> None:
    with pytest.raises(DecodeError, match="expected a file written by umbel"):
        decode(data)


@given(st.data())
def test_a_file_that_is_cut_off_is_never_taken_for_a_message(data: st.DataObject) -> None:
    whole = encode(publication(b"body"))
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DecodeError):
        decode(whole[:end])


@pytest.mark.parametrize(
    "url", ["filesystem://", "filesystem:///", "filesystem:///x?fsnyc=1", "filesystem:///x?fsync=maybe"]
)
def test_a_wrong_url_says_what_is_right(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="expected"):
        FilesystemTransport(url)


def test_a_relative_url_and_quoted_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert FilesystemTransport("filesystem://some%20where/deep").root == str(tmp_path / "some where" / "deep")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OperationalError, match=r"cannot open the broker in the folder .*file"):
        FilesystemTransport(f"filesystem://{tmp_path}/file/broker").open(1.0)


def test_a_full_disk_refuses_the_whole_batch_and_leaves_nothing(transport: FilesystemTransport, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may grow beyond this: what the system answers is an error while writing, as a full disk gives.
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        with pytest.raises(OperationalError, match="cannot publish"):
            transport.publish([publication(b"1"), publication(b"x" * 1_000_000), publication(b"3")], 1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert transport.count(["q"]) == [0]
    assert os.listdir(tmp_path / "broker" / "new") == []
    transport.publish([publication(b"4")], 1.0)
    assert transport.count(["q"]) == [1]


def test_a_consumer_that_was_thrown_away_gives_back_what_it_held(transport: FilesystemTransport) -> None:
    transport.publish([publication(b"1")], 1.0)
    abandoned = transport.consume([QUEUE], 0, "w")
    assert abandoned.receive(1, 1.0)
    del abandoned
    gc.collect()
    [delivery] = transport.consume([QUEUE], 0, "w").receive(1, 5.0)
    assert delivery.delivery_count == 2


def test_claims_of_an_owner_that_was_half_removed_are_found(transport: FilesystemTransport, tmp_path: Path) -> None:
    """Killed in the middle of giving back, an owner has claims and no lock file."""
    transport.publish([publication(b"1")], 1.0)
    consumer = transport.consume([QUEUE], 0, "w")
    [delivery] = consumer.receive(1, 1.0)
    stray = tmp_path / "broker" / "claims" / "0123456789abcdef"
    (stray / "q").mkdir(parents=True)
    os.rename(
        tmp_path / "broker" / "claims" / delivery.tag.owner / "q" / delivery.tag.file_name,
        stray / "q" / delivery.tag.file_name,
    )
    os.utime(stray, (time.time() - 60, time.time() - 60))
    [again] = transport.consume([QUEUE], 0, "w").receive(1, 5.0)
    assert again.message.body == b"1"
    assert not stray.exists()


def test_half_written_files_of_long_ago_are_swept_away(tmp_path: Path) -> None:
    url = f"filesystem://{tmp_path}/broker"
    FilesystemTransport(url).open(1.0)
    old, new = tmp_path / "broker" / "new" / "old", tmp_path / "broker" / "new" / "new"
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    FilesystemTransport(url).open(1.0)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_binding_made_by_another_connection_counts_at_once(transport: FilesystemTransport, tmp_path: Path) -> None:
    other = FilesystemTransport(f"filesystem://{tmp_path}/broker")
    other.open(1.0)
    event = Publication(Message(b""), None, "events", "")
    transport.publish([event], 1.0)
    for number in range(3):
        other.declare([Queue(name=f"e{number}", exchange=Exchange(name="events", kind="fanout"))])
        transport.publish([event], 1.0)
    assert transport.count(["e0", "e1", "e2"]) == [3, 2, 1]


def test_a_queue_deleted_by_another_connection_is_made_again(transport: FilesystemTransport, tmp_path: Path) -> None:
    other = FilesystemTransport(f"filesystem://{tmp_path}/broker")
    other.open(1.0)
    transport.publish([publication(b"1")], 1.0)
    other.delete("q")
    transport.publish([publication(b"2")], 1.0)
    assert transport.count(["q"]) == [1]


def test_an_auto_delete_queue_goes_with_its_consumer(transport: FilesystemTransport, tmp_path: Path) -> None:
    queue = Queue(name="listener", exchange=Exchange(name="events", kind="fanout"), auto_delete=True)
    transport.consume([queue], 0, "w").close()
    transport.publish([Publication(Message(b""), None, "events", "")], 1.0)
    assert transport.count(["listener"]) == [0]
    assert not (tmp_path / "broker" / "queues" / "listener").exists()


def test_settling_a_foreign_tag_is_silent(transport: FilesystemTransport) -> None:
    transport.publish([publication(b"1")], 1.0)
    consumer = transport.consume([QUEUE], 0, "w")
    [delivery] = consumer.receive(1, 1.0)
    delivery.tag = 7
    consumer.settle(Settlement(acks=[delivery], requeues=[delivery]))
    transport.settle(Settlement(rejects=[delivery]))


def test_files_are_for_this_user_alone(transport: FilesystemTransport, tmp_path: Path) -> None:
    transport.publish([publication(b"secret")], 1.0)
    [path] = (path for path in (tmp_path / "broker" / "queues" / "q").iterdir() if path.name != ".stamp")
    assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "broker" / "queues").stat().st_mode & 0o077 == 0
