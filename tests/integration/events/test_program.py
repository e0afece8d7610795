"""``umbel events`` as a program."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from umbel import Umbel

Until = Callable[..., None]

PROJECT = """
from umbel import Umbel
from umbel.events.snapshot import Polaroid

app = Umbel("shop", broker="sqlite:///{folder}/broker.db")


class Camera(Polaroid):
    def on_shutter(self, state):
        if state.event_count:
            print("picture of", state.task_count, "tasks", flush=True)
"""


@pytest.fixture
def app(tmp_path: Path) -> Umbel:
    (tmp_path / "shop.py").write_text(PROJECT.format(folder=tmp_path))
    return Umbel("shop", broker=f"sqlite:///{tmp_path}/broker.db", set_as_current=False)


@contextlib.contextmanager
def program(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "umbel", "-A", "shop:app", "events", *words]
    with subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def tell(app: Umbel, process: subprocess.Popen[str], wanted: Callable[[str], bool]) -> str:
    """Send events until the program shows a line that is *wanted*, and return the line."""
    output = process.stdout
    assert output is not None
    lines: list[str] = []
    threading.Thread(target=lambda: lines.extend(iter(output.readline, "")), daemon=True).start()
    deadline = time.monotonic() + 30
    with app, app.events.Dispatcher(hostname="me@h") as dispatcher:
        while time.monotonic() < deadline:
            dispatcher.send("task-received", uuid="u", name="add", args="(2,)", kwargs="{}")
            for line in list(lines):
                if wanted(line):
                    return line
            time.sleep(0.05)
    raise AssertionError(f"the line did not come; the program said {lines[:5]}")


def end(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(20)


def test_a_dump_shows_lines_until_it_is_interrupted(app: Umbel, tmp_path: Path) -> None:
    """[A421] [B699]."""
    with program(tmp_path, "--dump") as process:
        line = tell(app, process, lambda line: "task received" in line)
        assert end(process) == 0
    assert line.startswith("me@h [2")
    assert "task received: add(u) args=(2,) kwargs={} clock=" in line


def test_a_dump_may_be_json_and_end_by_itself(app: Umbel, tmp_path: Path) -> None:
    with program(tmp_path, "--json", "--limit", "1") as process:
        event: dict[str, Any] = json.loads(tell(app, process, lambda line: line.startswith("{")))
        assert process.wait(20) == 0
    assert (event["type"], event["hostname"], event["name"]) == ("task-received", "me@h", "add")


def test_a_camera_takes_pictures(app: Umbel, tmp_path: Path) -> None:
    """[A420] [B700]."""
    with program(tmp_path, "-c", "shop:Camera", "-F", "0.05", "--pidfile", "camera.pid") as process:
        tell(app, process, lambda line: line.startswith("picture of"))
        assert (tmp_path / "camera.pid").read_text().strip() == str(process.pid)
        assert end(process) == 0
    assert not (tmp_path / "camera.pid").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 1, "for pipes and files use --dump"),
        (["--dump", "--camera", "x"], 2, "got both"),
        (["--camera", "shop:Nothing"], 78, "camera as module:Class"),
        (["--camera", "shop:Camera", "--maxrate", "often"], 78, "rate such as"),
        (["--camera", "shop:Camera", "--frequency", "0"], 78, "above 0"),
    ],
)
def test_wrong_options_are_told(app: Umbel, tmp_path: Path, words: list[str], code: int, said: str) -> None:
    with program(tmp_path, *words) as process:
        text, _ = process.communicate(timeout=30)
    assert (process.returncode, said in text) == (code, True), text[-1000:]
