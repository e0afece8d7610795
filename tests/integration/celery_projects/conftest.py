"""Celery projects as their authors write them, run by the programs that their users run, with Umbel in Celery's place."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from umbel_extension_celery.installing import FOLDER


class Project:
    """A folder with a Celery project, and the programs that run in it."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self.folder = folder
        self._closing = closing
        #: ``import celery`` gives Umbel in every Python that is started with this.
        self.environment = {**os.environ, "PYTHONPATH": FOLDER, "PYTHONUNBUFFERED": "1"}

    def write(self, **files: str) -> None:
        """Write files; ``__`` in a name without a slash is one, and the ending is .py."""
        for name, text in files.items():
            path = self.folder / f"{name if '/' in name else name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def package(self, name: str) -> None:
        """Make an empty package."""
        (self.folder / name).mkdir(exist_ok=True)
        (self.folder / name / "__init__.py").touch()

    def python(self, code: str, **environment: str) -> str:
        """Run *code* to its end and return what it printed."""
        return self.run("-c", textwrap.dedent(code), **environment)

    def run(self, *words: str, **environment: str) -> str:
        """Run Python with *words* and return what it printed; an exit code other than 0 fails the test."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self, *words: str, ready: str, **environment: str) -> subprocess.Popen[str]:
        """Start Python with *words*, and return when a line of its output has *ready* in it."""
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._closing.callback(_end, process)
        read_until(process, ready)
        return process


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """Return what was printed up to the line that *pattern* is in; the test's own time limit ends a vain wait."""
    lines: list[str] = []
    for line in process.stdout or ():
        lines.append(line)
        if re.search(pattern, line):
            return "".join(lines)
    pytest.fail(f"{pattern!r} did not come:\n" + "".join(lines))


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with ExitStack() as closing:
        yield Project(tmp_path, closing)


@pytest.fixture
def reads_until() -> Callable[[subprocess.Popen[str], str], str]:
    return read_until
