"""What importing and asking for help cost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.architecture.conftest import House

HEAVY = (
    "pluggy",
    "stevedore",
    "click",
    "asyncio",
    "pytest",
    "_pytest",
    "hypothesis",
    "kombu",
    "billiard",
    "orjson",
    "amqp",
)
DEFINE_A_TASK = """
from umbel import Umbel
app = Umbel("tasks", set_as_current=False)
@app.task
def add(x, y):
    return x + y
"""


def loaded_after(code: str) -> str:
    code += f"\nimport sys\nprint([name for name in sys.modules if name.partition('.')[0] in {HEAVY!r}"
    code += " or name.startswith('umbel_')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_umbel_loads_no_plugin_no_driver_and_no_machinery() -> None:
    assert loaded_after("import umbel") == "[]"


def test_a_task_module_pays_for_no_plugin() -> None:
    assert loaded_after(DEFINE_A_TASK) == "[]"


def test_each_plugin_imports_without_a_warning(house: House) -> None:
    found = {}
    for package in house.plugins:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", f"import {package}"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            found[package] = done.stderr.strip().splitlines()[-1]
    assert found == {}


@pytest.mark.parametrize(("arguments", "most_ms"), [(["-c", "import umbel"], 60), (["-m", "umbel", "--help"], 150)])
def test_start_up_is_cheap(arguments: list[str], most_ms: int, tmp_path: Path) -> None:
    """CPU of the process itself over that of an empty one, best of five: the machine may be busy.

    As installed, with bytecode, whatever this environment says of writing it.
    """
    code = (
        "import resource, subprocess, sys\n"
        "def cpu():\n    used = resource.getrusage(resource.RUSAGE_CHILDREN)\n    return used.ru_utime + used.ru_stime\n"
        "def cost(*arguments):\n    before = cpu()\n"
        "    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)\n"
        "    return cpu() - before\n"
        "print(min(cost(*sys.argv[1:]) for _ in range(5)) - min(cost('-c', '') for _ in range(5)))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, env=environment
    )
    assert float(done.stdout) * 1000 < most_ms
