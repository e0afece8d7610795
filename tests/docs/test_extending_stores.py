"""The plugins that the pages on transports and result backends show, installed, under the suites that they show."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from umbel.spi import BackendCapabilities, TransportCapabilities

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
FILE = re.compile(r"^```python\n# (?P<name>\w+\.py)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \|$", re.MULTILINE)


def run_suite(kind: str, folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    page = (DOCS / f"extending/{kind}s.md").read_text(encoding="utf-8")
    files = {found["name"]: found["code"] for found in FILE.finditer(page)}
    assert set(files) == {f"umbel_{kind}_shelf.py", "test_shelf.py"}
    for name, code in files.items():
        (folder / name).write_text(code, encoding="utf-8")
    metadata = folder / f"umbel_{kind}_shelf-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: umbel-{kind}-shelf\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[umbel.{kind}s]\nshelf = umbel_{kind}_shelf\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(120)
def test_the_transport_of_the_page_passes(tmp_path: Path) -> None:
    done = run_suite("transport", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_backend_of_the_page_fails_where_the_page_says_so(tmp_path: Path) -> None:
    done = run_suite("backend", tmp_path)
    assert re.findall(r"^FAILED .*::(\w+)", done.stdout, re.MULTILINE) == [
        "test_expire_removes_what_is_over_and_counts_it"
    ], done.stdout + done.stderr


@pytest.mark.parametrize(
    ("kind", "capabilities"), [("transport", TransportCapabilities), ("backend", BackendCapabilities)]
)
def test_the_page_names_every_capability(kind: str, capabilities: type[Any]) -> None:
    page = (DOCS / f"extending/{kind}s.md").read_text(encoding="utf-8")
    section = page.partition("\n## Capabilities\n")[2].partition("\n## ")[0]
    assert [name for name, _ in ROW.findall(section)] == [field.name for field in attrs.fields(capabilities)]


@pytest.mark.parametrize("name", ["memory", "filesystem"])
def test_a_transports_page_says_what_it_declares(name: str) -> None:
    import importlib

    page = (DOCS / f"reference/transports/{name}.md").read_text(encoding="utf-8")
    for heading, kind in (
        ("Capabilities of the transport", "transport"),
        ("Capabilities of the result backend", "backend"),
    ):
        declared = importlib.import_module(f"umbel_{kind}_{name}").plugin_info.capabilities
        section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        said = dict(ROW.findall(section))
        words = {True: "yes", False: "no"}
        assert said == {
            field: words[value]
            if isinstance(value, bool)
            else str(value)
            if isinstance(value, int)
            else ", ".join(f"`{kind}`" for kind in sorted(value))
            for field, value in attrs.asdict(declared).items()
        }
