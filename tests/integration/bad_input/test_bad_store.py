"""A store that is full, locked, damaged or may not be written: callers and workers say so, wait, and lose nothing."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from umbel.exceptions import OperationalError

COUNTED = """
@app.task
def counted(number, kibibytes=0, seconds=0.0):
    with open("ran", "a") as file:
        file.write(f"{number}\\n")
    time.sleep(seconds)
    return str(number) + "x" * (kibibytes << 10)
"""


def ran(project: Any) -> list[int]:
    """Return the numbers of the tasks that ran, in order."""
    path = project.directory / "ran"
    return sorted(map(int, path.read_text().split())) if path.exists() else []


@contextlib.contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Hold the write lock, as a program does that has forgotten its transaction."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit, which only Linux has")
def test_a_disk_that_is_full_for_a_while(project: Any) -> None:
    """The worker cannot write, as on a full disk; once there is room everything is there, and each task ran once."""
    project.write(COUNTED)
    with project.start("-c", "1") as node:
        first = project.send("counted", 0)
        assert first.get(timeout=30) == "0"
        size = max(os.path.getsize(path) for path in project.store.parent.iterdir() if path.is_file())
        most = resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (size + 60_000, most[1]))
        results = [project.send("counted", number, 16) for number in range(1, 21)]
        node.wait_for(r"SQLite file \S+queue\.db: .*disk")
        assert not all(result.ready() for result in results)
        assert node.process.poll() is None
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, most)
        for number, result in enumerate(results, 1):
            assert result.get(timeout=30).startswith(str(number))
        assert set(ran(project)) == set(range(21))
        assert project.works()
    assert project.count() == 0
    assert project.umbel("parked", "list") == "Nothing is parked."


def test_a_database_that_is_locked_for_a_while(project: Any) -> None:
    """delay() raises in time; the worker keeps the outcomes that it has, and what was running is not run again."""
    project.write(COUNTED)
    with project.start("-c", "2", environment={"URL_OPTIONS": "?busy_timeout_s=0.3"}) as node:
        assert project.works()
        running = [project.send("counted", number, 0, 0.5) for number in range(2)]
        deadline = time.monotonic() + 20
        while len(ran(project)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with write_lock(project.store):
            project.app.conf.task_publish_timeout_s = 1.0
            began = time.monotonic()
            with pytest.raises(OperationalError, match="another process has held its write lock for too long"):
                project.send("counted", 99)
            assert time.monotonic() - began < 10
            node.wait_for("results and acknowledgements cannot be committed, trying again: SQLite file .* is locked")
            assert [result.state for result in running] == ["PENDING", "PENDING"]
        assert [result.get(timeout=30) for result in running] == ["0", "1"]
        node.wait_for("commits go through again")
        assert project.works()
        assert ran(project) == [0, 1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"#!/bin/sh\necho this is no database\n" * 1000,
            "this is not an SQLite database; the URL may name the wrong file",
        ),
        (None, r"the file is damaged; stop all workers, save what can be saved with 'sqlite3 FILE \.recover"),
    ],
    ids=["foreign", "damaged"],
)
def test_a_corrupt_file_is_told_and_not_touched(project: Any, content: bytes | None, words: str) -> None:
    """The worker waits; when the file is put right, what was sent before is run."""
    project.write(COUNTED)
    before = [project.send("counted", number, 4) for number in range(50)]
    project.app.close()
    good = project.directory / "good.db"
    shutil.copy(project.store, good)
    data = project.store.read_bytes()
    bad = content or data[:4096] + b"\xa5" * (len(data) - 4096)
    project.store.write_bytes(bad)
    with pytest.raises(OperationalError, match=words):
        project.app.send_tasks([project.app.signature("proj.add", args=(1, 1))] * 2)
    with project.start("-c", "1", ready=False) as node:
        node.wait_for(rf"cannot connect to sqlite:///\S+: SQLite file \S+: .*{words}.*Trying again in")
        assert node.process.poll() is None
        assert project.store.read_bytes()[-4096:] == bad[-4096:]
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{project.store}{suffix}")
        os.replace(good, project.store)
        node.wait_for(r"\S+ ready\.")
        assert [result.get(timeout=30)[:2].strip("x") for result in before] == [str(number) for number in range(50)]
        assert ran(project) == list(range(50))


def without_override() -> None:
    """Give up root's right to write where the mode forbids it, for good; nothing for other users. Called before exec."""
    if os.getuid() == 0:
        drop_from_bounding_set, dac_override = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
        ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="needs capabilities, which only Linux has")
def test_a_file_that_may_only_be_read(project: Any) -> None:
    """The worker says what to do, and goes on once it is done."""
    result = project.send("add", 20, 22)
    project.app.close()
    os.chmod(project.store, 0o444)
    os.chmod(project.store.parent, 0o555)
    try:
        with project.start("-c", "1", ready=False, preexec_fn=without_override) as node:
            node.wait_for(r"SQLite file \S+queue\.db: .*(write access|may write there).*Trying again in")
            assert node.process.poll() is None
            os.chmod(project.store.parent, 0o755)
            os.chmod(project.store, 0o644)
            node.wait_for(r"\S+ ready\.")
            assert result.get(timeout=30) == 42
            assert project.works()
    finally:
        os.chmod(project.store.parent, 0o755)


def test_a_state_folder_that_cannot_be_made(project: Any) -> None:
    """Where the default store would be."""
    (project.directory / "file").write_text("in the way")
    (project.directory / "bare.py").write_text("from umbel import Umbel\napp = Umbel('bare')\n")
    done = subprocess.run(
        [sys.executable, "-m", "umbel", "-A", "bare", "call", "some.task"],
        cwd=project.directory,
        env={**os.environ, "UMBEL_HOME": str(project.directory / "file")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "file/umbel/bare.db" in done.stderr
    assert "see that its folder exists and that this user may write there" in done.stderr
    assert "Traceback" not in done.stderr
