"""``umbel events`` as a program: in a real terminal, and where there is none."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from umbel import Umbel
from umbel.exceptions import ImproperlyConfigured, PluginNotFound, UmbelError
from umbel.host import Host
from umbel_extension_monitor.starting import run

DEADLINE_S = 40.0
UMBEL = [sys.executable, "-m", "umbel"]
PROJECT = """
from umbel import Umbel

app = Umbel("shop", broker="sqlite:///{folder}/shop.db")

@app.task(name="shop.fail")
def fail(order):
    raise ValueError(f"order {{order}} is refused")
"""


def until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what()}"
        time.sleep(0.05)


class Terminal:
    """A terminal of tmux that runs one program."""

    def __init__(self, command: list[str], folder: Path, width: int, height: int) -> None:
        self._socket = f"umbel{secrets.token_hex(4)}"
        script = f"cd {shlex.quote(str(folder))}; {shlex.join(command)}; echo ended with $?; read line"
        self._tmux("-f", os.devnull, "new-session", "-d", "-x", str(width), "-y", str(height), script)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *arguments], capture_output=True, text=True, check=True, timeout=DEADLINE_S
        )
        return done.stdout

    def text(self) -> str:
        return self._tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def sees(self, *texts: str) -> None:
        until(lambda: all(text in self.text() for text in texts), lambda: f"{texts} in\n{self.text()}")

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shopapp.py").write_text(PROJECT.format(folder=tmp_path), encoding="utf-8")
    return tmp_path


@pytest.fixture
def open_terminal(folder: Path) -> Iterator[Callable[..., Terminal]]:
    if shutil.which("tmux") is None:
        if os.environ.get("CI"):
            pytest.fail("tmux is not installed: apt-get install tmux")
        pytest.skip("tmux is not installed: apt-get install tmux")
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, size: tuple[int, int] = (80, 24)) -> Terminal:
            return stack.enter_context(contextlib.closing(Terminal([*UMBEL, *arguments], folder, *size)))

        yield start


def test_it_runs_in_a_terminal(folder: Path, open_terminal: Callable[..., Terminal]) -> None:
    worker = [*UMBEL, "-A", "shopapp", "worker", "-P", "threads", "-c", "1", "-n", "w1@here", "-l", "CRITICAL"]
    with subprocess.Popen(worker, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            terminal = open_terminal("-A", "shopapp", "events", "--enable")
            terminal.sees("umbel shop", "● live", "2 Workers 1", "workers tell of tasks")
            subprocess.run([*UMBEL, "-A", "shopapp", "call", "shop.fail", "-a", '["A7"]'], cwd=folder, check=True)
            terminal.sees("✗ FAILURE", "shop.fail", "1 failed")
            terminal.press("t")
            terminal.sees("traceback", "ValueError: order A7 is refused")
            terminal.press("q")
            terminal.sees("CALL → OUTCOME")
            terminal.press("q")
            terminal.sees("ended with 0")
        finally:
            process.terminate()


def test_a_wrong_filter_is_refused_before_anything_starts(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal("-A", "shopapp", "events", "--filter", "stat:failed")
    terminal.sees("no field 'stat'; did you mean 'state'?", "ended with 1")


def test_without_a_terminal_it_says_so(folder: Path) -> None:
    done = subprocess.run(
        [*UMBEL, "-A", "shopapp", "events"], cwd=folder, capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )
    assert done.returncode == 1
    assert done.stderr == ("umbel: the monitor needs a terminal for input and output: for pipes and files use --dump\n")


def test_a_terminal_that_cannot_move_its_cursor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    with pytest.raises(UmbelError, match=r"TERM='dumb': use --dump"):
        run(Umbel("shop", set_as_current=False), {})


def test_without_textual_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    with pytest.raises(ImproperlyConfigured, match=r"pip install 'umbel\[monitor\]'"):
        run(Umbel("shop", set_as_current=False), {})


def test_without_the_extension_the_kernel_names_it() -> None:
    with pytest.raises(PluginNotFound, match=r"pip install 'umbel\[monitor\]'"):
        Host().monitor(None, {})


def test_a_worker_that_loads_the_extension_pays_nothing_for_it() -> None:
    code = (
        "import umbel_extension_monitor, sys\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('textual', 'rich')"
        " or name.startswith(('umbel_extension_monitor.', 'umbel.events'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
