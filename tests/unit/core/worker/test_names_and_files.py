from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.exceptions import ImproperlyConfigured
from umbel.worker.naming import expand, node_name, split_node
from umbel.worker.pidfile import PidFile, PidFileTaken
from umbel.worker.presence import Presence
from umbel.worker.privileges import Identity, drop_privileges, find_identity

HOST = socket.gethostname()


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        (None, f"umbel@{HOST}"),
        ("", f"umbel@{HOST}"),
        ("w1", f"w1@{HOST}"),
        ("w1@%h", f"w1@{HOST}"),
        ("w1@there", "w1@there"),
        ("w%%1@x", "w%1@x"),
        ("w1@%n", f"w1@{HOST.partition('.')[0]}"),
    ],
)
def test_node_names(given_name: str | None, expected: str) -> None:
    assert node_name(given_name) == expected


def test_file_names_are_expanded() -> None:
    assert expand("/run/%n.pid", "w1@box") == "/run/w1.pid"
    assert expand("%h-%d%I.log", "w1@box") == "w1@box-box.log"
    assert expand("%n%I.log", "w1@box", "3") == "w1-3.log"
    assert expand("%n-%i 100%%", "w1@box", "3") == "w1-3 100%"


@given(st.text())
def test_expansion_takes_any_text(text: str) -> None:
    assert isinstance(expand(text, "w@h"), str)
    assert split_node(text)[1] in text


def test_pid_file_is_written_and_removed(tmp_path: Path) -> None:
    file = PidFile(str(tmp_path / "w.pid"))
    assert file.acquire() is None
    assert file.read() == os.getpid()
    file.release()
    assert not (tmp_path / "w.pid").exists()
    file.release()


def test_a_live_process_keeps_its_pid_file(tmp_path: Path) -> None:
    """[B1132]"""
    path = tmp_path / "w.pid"
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        path.write_text(f"{child.pid}\n")
        with pytest.raises(PidFileTaken, match=str(child.pid)):
            PidFile(str(path)).acquire()
        assert path.read_text() == f"{child.pid}\n"
    finally:
        child.communicate(b"\n")


def test_a_stale_pid_file_is_replaced(tmp_path: Path) -> None:
    """[B1132]"""
    path = tmp_path / "w.pid"
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    path.write_text(f"{child.pid}\n")
    file = PidFile(str(path))
    assert "is gone" in (file.acquire() or "")
    assert file.read() == os.getpid()
    file.release()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff\xfe", b"-5", b"9" * 30])
def test_a_broken_pid_file_is_replaced(tmp_path: Path, content: bytes) -> None:
    """[B1132]"""
    path = tmp_path / "w.pid"
    path.write_bytes(content)
    file = PidFile(str(path))
    assert "no process id" in (file.acquire() or "")
    file.release()


_ACQUIRE = """
import sys
from umbel.worker.pidfile import PidFile, PidFileTaken
print("here", flush=True)
sys.stdin.readline()
try:
    PidFile(sys.argv[1]).acquire()
    print("mine", flush=True)
except PidFileTaken:
    print("taken", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("content", [None, "garbage"])
def test_of_many_that_start_at_once_one_gets_the_pid_file(tmp_path: Path, content: str | None) -> None:
    """[B1132]"""
    path = tmp_path / "w.pid"
    if content is not None:
        path.write_text(content)
    command = [sys.executable, "-c", _ACQUIRE, str(path)]
    starters = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(6)
    ]
    try:
        for line in ("here\n", None):
            answers = [one.stdout.readline() for one in starters if one.stdout]
            assert line is None or set(answers) == {line}
            if line:
                for one in starters:
                    assert one.stdin
                    one.stdin.write("go\n")
        assert sorted(answers) == ["mine\n", *["taken\n"] * 5]
    finally:
        for one in starters:
            one.communicate("end\n")


def test_another_processs_pid_file_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "w.pid"
    file = PidFile(str(path))
    file.acquire()
    path.write_text("1\n")
    file.release()
    assert path.exists()


def test_unknown_users_and_groups_are_friendly_errors() -> None:
    """[B1118]"""
    with pytest.raises(ImproperlyConfigured, match="no user named 'nobody-here-xyz'"):
        find_identity("nobody-here-xyz", None)
    with pytest.raises(ImproperlyConfigured, match="no group named 'nogroup-here-xyz'"):
        find_identity(None, "nogroup-here-xyz")


def test_a_user_brings_his_group() -> None:
    assert find_identity("root", None) == Identity(0, 0)
    assert find_identity("0", "5") == Identity(0, 5)


_DROP = """
import os
from umbel.worker.privileges import Identity, drop_privileges
drop_privileges(Identity({uid}, {gid}))
print(os.getresuid(), os.getresgid(), os.getgroups())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to give up root")
def test_rights_are_given_up_for_good() -> None:
    """[B1128] [B1129]"""
    done = subprocess.run(
        [sys.executable, "-c", _DROP.format(uid=65534, gid=65534)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("(65534, 65534, 65534) (65534, 65534, 65534)")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody")
def test_only_root_may_change_the_user() -> None:
    program = _DROP.format(uid=1, gid=1).replace("drop_priv", "os.setuid(65534); drop_priv", 2)
    program = program.replace("import Identity, os.setuid(65534); ", "import Identity, ")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "only root may change" in done.stderr


def test_nothing_happens_when_there_is_nothing_to_drop() -> None:
    drop_privileges(Identity(os.getuid(), os.getgid()))
    drop_privileges(Identity())


def test_two_workers_of_one_name_find_out(caplog: pytest.LogCaptureFixture) -> None:
    """[B1125]"""
    name = f"w-{os.getpid()}@here"
    first, second, other = Presence("memory://x", name), Presence("memory://x", name), Presence("memory://y", name)
    try:
        assert first.acquire()
        assert not second.acquire()
        assert f"another worker named {name}" in caplog.text
        assert other.acquire()
        first.release()
        assert second.acquire()
    finally:
        for each in (first, second, other):
            each.release()
