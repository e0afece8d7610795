"""What importing and asking for help cost."""

from __future__ import annotations

import subprocess
import sys
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


@pytest.mark.timeout(300)  # a process each, on a machine that may be busy
def test_each_plugin_imports_without_a_warning(house: House) -> None:
    found = {}
    for package in house.plugins:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", f"import {package}"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            found[package] = done.stderr.strip().splitlines()[-1]
    assert found == {}


@pytest.mark.parametrize(("statement", "most"), [("import umbel", 130), ("import umbel.cli", 200)])
def test_start_up_imports_little(statement: str, most: int) -> None:
    """Modules beyond those of an empty interpreter: what start-up costs, by a measure that no busy machine changes.

    `python -m bench startup` measures the time itself.
    """
    code = f"import sys\nbefore = len(sys.modules)\n{statement}\nprint(len(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= most
