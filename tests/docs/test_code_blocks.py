"""What the manual shows works: every page is run in an empty folder with a store of its own."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page: pathlib.Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if "```python" not in text and "$ umbel" not in text:
        return
    folder, home = tmp_path / "folder", tmp_path / "home"
    folder.mkdir()
    environment = {**os.environ, "UMBEL_HOME": str(home), "PYTHONPATH": str(folder), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/docs/run_page.py"), str(page)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=110,
    )
    if done.returncode:
        pytest.fail(done.stdout)


def test_a_page_with_a_fault_fails(tmp_path: Path) -> None:
    for name, text in {
        "broken.md": "```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n",
        "option.md": "```console\n$ umbel plugins list --knid pool\n```\n",
        "command.md": "```console\n$ umbel plugin list\n```\n",
    }.items():
        (tmp_path / name).write_text(text)
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests/docs/run_page.py"), str(tmp_path / name)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, name
        assert "AssertionError" in done.stderr, done.stderr
