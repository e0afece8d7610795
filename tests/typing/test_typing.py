"""mypy and pyright find exactly the errors that the files beside this one mark with ``# error``."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES = sorted(path for path in HERE.glob("*.py") if not path.name.startswith("test_"))


def marked() -> set[tuple[str, int]]:
    return {
        (path.name, number)
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.rstrip().endswith("# error")
    }


def run_mypy(tmp_path: Path) -> set[tuple[str, int]]:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", f"--cache-dir={tmp_path}"]
    command += ["--config-file", str(ROOT / "pyproject.toml"), *map(str, FILES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=170)
    found = re.findall(r"^tests/typing/(\w+\.py):(\d+): error:", done.stdout.replace(f"{ROOT}/", ""), re.MULTILINE)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return {(name, int(line)) for name, line in found}


def run_pyright(tmp_path: Path) -> set[tuple[str, int]]:
    # The repository's own configuration leaves these files out: they are wrong on purpose.
    shared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pyright"]
    configuration = {
        "include": [path.name for path in FILES],
        "extraPaths": [str(ROOT / path) for path in shared["extraPaths"]],
        "pythonVersion": shared["pythonVersion"],
        "typeCheckingMode": shared["typeCheckingMode"],
    }
    for path in FILES:
        shutil.copy(path, tmp_path)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(configuration))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return {
        (Path(finding["file"]).name, finding["range"]["start"]["line"] + 1)
        for finding in json.loads(done.stdout)["generalDiagnostics"]
        if finding["severity"] == "error"
    }


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("check", [run_mypy, run_pyright], ids=["mypy", "pyright"])
def test_the_marked_errors_and_no_others_are_found(
    check: Callable[[Path], set[tuple[str, int]]], tmp_path: Path
) -> None:
    found, expected = check(tmp_path), marked()
    assert len(expected) > 20
    assert sorted(found - expected) == [], "errors where the code is right"
    assert sorted(expected - found) == [], "wrong code that goes through"
