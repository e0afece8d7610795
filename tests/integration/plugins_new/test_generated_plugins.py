"""A package made by ``umbel plugins new`` passes the suite of its kind as generated, after ``pip install``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from umbel.model import KINDS


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", KINDS)
def test_a_generated_plugin_passes_its_suite_when_it_is_installed(tmp_path: Path, kind: str) -> None:
    package, site = tmp_path / "package", tmp_path / "site"

    def run(*arguments: str, cwd: Path = package) -> str:
        environment = {**os.environ, "PYTHONPATH": str(site), "UMBEL_HOME": str(tmp_path / "home")}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.fail(done.stdout)
        return done.stdout

    run("-m", "umbel", "plugins", "new", kind, "madeup", "--directory", str(package), cwd=tmp_path)
    install = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site), ".")
    run("-m", "pip", "install", *install)
    assert f"umbel-{kind}-madeup 0.1.0" in run("-m", "umbel", "plugins", "list", "--kind", kind)
    summary = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio")
    assert " passed" in summary.splitlines()[-1]
