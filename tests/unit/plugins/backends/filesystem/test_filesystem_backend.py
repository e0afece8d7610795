from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.exceptions import BackendGetMetaError, BackendStoreError, ImproperlyConfigured
from umbel.model import ChordPart, TaskMeta
from umbel_backend_filesystem import FilesystemBackend
from umbel_backend_filesystem.documents import decode_meta, decode_part, encode_meta, encode_part
from umbel_backend_filesystem.folder import Folder


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[FilesystemBackend]:
    backend = FilesystemBackend(f"file://{tmp_path}/results")
    backend.open(1.0)
    yield backend
    backend.close()


def meta(task_id: str = "a", state: str = "SUCCESS", payload: bytes = b"", **options: Any) -> TaskMeta:
    return TaskMeta(task_id, state, payload, **options)


def part(index: int, size: int, **options: Any) -> ChordPart:
    return ChordPart("c", f"t{index}", index, "SUCCESS", str(index).encode(), b"body", size, **options)


@given(st.text(), st.text(), st.binary(), st.integers(0, 1000), st.none() | st.floats(0, 1e9))
def test_a_result_is_read_as_it_was_written(
    task_id: str, state: str, payload: bytes, attempt: int, expires_s: float | None
) -> None:
    one = TaskMeta(task_id, state, payload, "type", "encoding", attempt, expires_s)
    again = decode_meta(encode_meta(one))
    assert (again.task_id, again.state, again.payload) == (task_id, state, payload)
    assert (again.content_type, again.content_encoding) == ("type", "encoding")
    assert (again.attempt, again.expires_s) == (attempt, expires_s)


@given(st.binary(max_size=300))
def test_garbage_is_never_taken_for_a_result(data: bytes) -> None:
    with pytest.raises(ValueError, match="expected a file of umbel"):
        decode_meta(data)


@given(st.data())
def test_what_is_cut_off_is_never_taken_for_a_part(data: st.DataObject) -> None:
    whole = encode_part(part(0, 2))
    with pytest.raises(ValueError, match="expected"):
        decode_part(whole[: data.draw(st.integers(0, len(whole) - 1))], "c", b"")


@given(st.lists(st.text(max_size=400), min_size=2, max_size=2, unique=True))
def test_two_tasks_never_share_a_file(pair: list[str]) -> None:
    one, other = map(Folder.quote, pair)
    assert one.lower() != other.lower()
    assert len(one) < 255
    assert "/" not in one


@pytest.mark.parametrize("url", ["file://", "filesystem:///", "file:///x?sync=1", "file:///x?fsync=perhaps"])
def test_a_wrong_url_says_what_is_right(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="expected"):
        FilesystemBackend(url)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BackendStoreError, match="cannot open the result store"):
        FilesystemBackend(f"file://{tmp_path}/file/results").open(1.0)


def test_a_closed_backend_raises_and_waits_for_nothing(backend: FilesystemBackend) -> None:
    backend.store([meta()])
    backend.close()
    with pytest.raises(BackendStoreError, match="not open"):
        backend.store([meta()])
    assert backend.wait(["unknown"], 30.0) == []


def test_a_full_disk_keeps_what_was_there(backend: FilesystemBackend, tmp_path: Path) -> None:
    backend.store([meta(state="STARTED", payload=b"old")])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        with pytest.raises(BackendStoreError, match="has room") as raised:
            backend.store([meta(payload=b"x" * 1_000_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (raised.value.task_id, raised.value.state) == ("a", "SUCCESS")
    [kept] = backend.load(["a"])
    assert kept is not None
    assert kept.payload == b"old"
    assert os.listdir(tmp_path / "results" / "new") == []


def test_a_broken_file_is_an_error_that_names_the_task(backend: FilesystemBackend, tmp_path: Path) -> None:
    backend.store([meta()])
    [path] = (tmp_path / "results" / "results").glob("*/*")
    path.write_bytes(b"broken")
    with pytest.raises(BackendGetMetaError, match="task a ") as raised:
        backend.load(["a"])
    assert raised.value.task_id == "a"


def test_a_count_that_is_too_high_after_a_crash_completes_nothing_early(
    backend: FilesystemBackend, tmp_path: Path
) -> None:
    """Killed between counting a member and writing it: the member comes again."""
    backend.join([part(0, 3)])
    [count] = (tmp_path / "results" / "chords").glob("*/*/count")
    count.write_bytes(b"2")
    assert backend.join([part(1, 3)]) == []
    [chord] = backend.join([part(2, 3)])
    assert [one.payload for one in chord.parts] == [b"0", b"1", b"2"]


def test_opening_sweeps_what_was_half_written_long_ago_and_nothing_else(
    backend: FilesystemBackend, tmp_path: Path
) -> None:
    """Files being written have their expiry as modification time, which may lie far back."""
    fresh = tmp_path / "results" / "new" / "being-written"
    fresh.write_bytes(b"half")
    Folder.set_expiry(str(fresh), None)
    FilesystemBackend(f"file://{tmp_path}/results").open(1.0)
    assert fresh.exists()


def test_chords_and_groups_expire_too(backend: FilesystemBackend) -> None:
    backend.save_group("short", b"1", expires_s=5)
    backend.save_group("ever", b"2")
    backend.join([part(0, 2, expires_s=5)])
    assert backend.expire(time.time() + 60) == 0  # results are counted, and there was none
    assert (backend.load_group("short"), backend.load_group("ever")) == (None, b"2")
    assert backend.join([part(1, 2)]) == []
    [chord] = backend.join([part(0, 2)])
    assert len(chord.parts) == 2


def test_files_are_for_this_user_alone(backend: FilesystemBackend, tmp_path: Path) -> None:
    backend.store([meta()])
    [path] = (tmp_path / "results" / "results").glob("*/*")
    assert path.stat().st_mode & 0o077 == 0
