"""The plugins that the page on serializers shows pass the suites that it shows."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
from pathlib import Path

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/extending/serializers.md"
FILE = re.compile(r"^```python\n# (?P<name>\w+\.py)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_suites_of_the_page_pass(tmp_path: Path) -> None:
    files = {found["name"]: found["code"] for found in FILE.finditer(PAGE.read_text(encoding="utf-8"))}
    assert {"test_packed_json.py", "test_deflate.py"} <= files.keys()
    for name, code in files.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
