"""The reference page of the settings is made from the settings."""

from __future__ import annotations

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[4]


def test_the_page_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "tools/settings_reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
