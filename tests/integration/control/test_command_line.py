"""``umbel inspect``, ``control``, ``status``; and the nodes' sockets."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from umbel.cli import cli
from umbel.cli.session import Session
from umbel.control.local import ask_local_nodes, ask_socket, socket_folder
from umbel.exceptions import UmbelError
from umbel.worker.control.sockets import ControlSocket


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture
def run(memory_site: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command line over the site's application."""
    monkeypatch.setattr(Session, "app", property(lambda session: memory_site.app))

    def call(*words: str) -> Result:
        return CliRunner().invoke(cli, [*words], standalone_mode=False)

    return call


def test_status_lists_the_nodes(run: Any, memory_site: Any) -> None:
    """[A394]."""
    memory_site.worker("w1@here")
    done = run("status", "-d", "w1@here")
    assert done.output == "->  w1@here: OK\n\n1 node online.\n"
    assert done.return_value == 0


def test_nobody_is_exit_code_69(run: Any) -> None:
    done = run("status", "-t", "0.1")
    assert done.return_value == 69
    assert "no node has answered in time" in done.output
    assert run("inspect", "active", "-t", "0.1").return_value == 69


def test_answers_are_shown_and_written_as_json(run: Any, memory_site: Any) -> None:
    """[A397] [A404] [A405]."""
    memory_site.worker("w1@here")
    running = memory_site.app.send_task("control.hold", ("x",))
    memory_site.gate.has_arrived()
    shown = run("inspect", "active", "-d", "w1@here").output
    assert running.id in shown
    assert shown.splitlines()[1].split() == ["id", "name", "args", "kwargs", "pid"]
    told = json.loads(run("inspect", "active", "-j", "-d", "w1@here").output)
    assert told["w1@here"][0]["id"] == running.id
    memory_site.gate.open()


def test_who_is_silent_is_named(run: Any, memory_site: Any) -> None:
    memory_site.worker("w1@here")
    done = run("status", "-d", "w1@here,gone@here", "-t", "0.3")
    assert "gone@here: no answer" in done.output


def test_words_become_arguments(run: Any, memory_site: Any) -> None:
    worker = memory_site.worker("w1@here")
    assert "OK" in run("control", "revoke", "a", "b", "-t", "0.3").output
    assert worker.control.revoked.ids() == ["a", "b"]
    run("control", "rate_limit", "control.add", "10/m", "-d", "w1@here")
    assert memory_site.app.tasks["control.add"].rate_limit == "10/m"
    assert "ERROR" in run("control", "rate_limit", "control.ad", "10/m", "-d", "w1@here").output


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["inspect", "actve"], "did you mean 'active'"),
        (["inspect", "revoke"], "write umbel control revoke"),
        (["control", "rate_limit"], "arguments are missing; usage: rate_limit <task_name>"),
        (["control", "pool_grow", "many"], "usage: pool_grow \\[N=1\\]"),
        (["control", "pool_grow", "1", "2"], "too many arguments, from '2' on"),
        (["control", "revoke_by_stamped_headers", "x"], "expected key=value"),
    ],
)
def test_wrong_words_are_refused_with_the_right_ones(run: Any, words: list[str], text: str) -> None:
    done = run(*words)
    with pytest.raises(type(done.exception), match=text):
        raise done.exception


def test_commands_are_listed(run: Any) -> None:
    listed = run("inspect", "--list").output
    assert "active_queues" in listed
    assert "hello" not in listed
    assert "rate_limit <task_name>" in run("control", "--list").output


# -- sockets ----------------------------------------------------------------------------------------------------------


def test_nodes_of_this_machine_answer_without_a_broker(run: Any, memory_site: Any) -> None:
    memory_site.worker("w1@here")
    memory_site.worker("w2@here")
    done = run("inspect", "--local", "ping")
    assert "w1@here: OK" in done.output
    assert "w2@here: OK" in done.output
    assert ask_local_nodes("ping", {}, ["w2@here"]) == [{"w2@here": {"ok": "pong"}}]
    assert [path.stat().st_mode & 0o777 for path in Path(socket_folder()).iterdir()] == [0o600] * 2


def test_a_socket_goes_with_its_worker(memory_site: Any) -> None:
    worker = memory_site.worker("w1@here")
    assert ask_local_nodes("ping", {})
    worker.stop()
    assert list(Path(socket_folder()).iterdir()) == []
    assert ask_local_nodes("ping", {}) == []


def test_the_socket_of_a_dead_worker_is_replaced(memory_site: Any) -> None:
    path = ControlSocket(memory_site.app.broker_url, "w1@here", lambda method, arguments: None).path
    os.makedirs(socket_folder(), mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    assert ask_local_nodes("ping", {}) == []
    memory_site.worker("w1@here")
    assert ask_local_nodes("ping", {}) == [{"w1@here": {"ok": "pong"}}]


def test_a_socket_that_is_taken_is_told_and_left_alone(memory_site: Any, caplog: pytest.LogCaptureFixture) -> None:
    memory_site.worker("w1@here")
    second = ControlSocket(memory_site.app.broker_url, "w1@here", lambda method, arguments: "wrong")
    assert not second.start()
    assert "another worker listens at" in caplog.text
    second.stop()
    assert ask_local_nodes("ping", {}) == [{"w1@here": {"ok": "pong"}}]


def test_a_file_in_the_place_of_the_socket_is_told(memory_site: Any, caplog: pytest.LogCaptureFixture) -> None:
    path = ControlSocket(memory_site.app.broker_url, "w1@here", lambda method, arguments: None).path
    os.makedirs(socket_folder(), mode=0o700)
    os.makedirs(path)
    worker = memory_site.worker("w1@here")
    assert worker.is_ready
    assert "no control socket" in caplog.text


def test_a_folder_of_somebody_else_is_not_trusted(memory_site: Any, caplog: pytest.LogCaptureFixture) -> None:
    os.makedirs(socket_folder(), mode=0o777)
    os.chmod(socket_folder(), 0o777)
    assert memory_site.worker("w1@here").is_ready
    assert "nobody else can enter" in caplog.text
    with pytest.raises(UmbelError, match="nobody else can enter"):
        ask_local_nodes("ping", {})


@pytest.mark.parametrize("data", [b"\n", b"nonsense\n", b"[]\n", b'{"method": 1}\n', b'{"method": "a"', b""])
def test_what_is_no_request_harms_no_node(memory_site: Any, data: bytes) -> None:
    memory_site.worker("w1@here")
    [path] = Path(socket_folder()).iterdir()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(path))
        stranger.sendall(data)
        stranger.shutdown(socket.SHUT_WR)
        stranger.settimeout(10)
        assert b"expected one line of JSON" in stranger.recv(1 << 16)
    assert ask_socket(str(path), "ping", {}, 10.0)["answer"] == {"ok": "pong"}
