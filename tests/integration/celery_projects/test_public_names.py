"""Celery's public modules and names, those of the release that is installed, against those that Umbel puts in their place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from umbel_extension_celery.installing import FOLDER
from umbel_extension_celery.missing import MISSING_MODULES, MISSING_NAMES, why_module_is_missing

#: Prints, for each module of the package celery: its public names, or why it cannot be imported.
LIST = """
    import importlib, json, pkgutil, warnings
    warnings.simplefilter("ignore")
    import celery

    def public(module):
        names = getattr(module, "__all__", None)
        if names is None:
            names = [n for n, v in vars(module).items() if getattr(v, "__module__", None) == module.__name__]
        return sorted(name for name in set(names) if not name.startswith("_"))

    found = {}
    for name in ["celery", *(m.name for m in pkgutil.walk_packages(celery.__path__, "celery.", lambda name: None))]:
        if not name.endswith("__main__"):
            try:
                found[name] = public(importlib.import_module(name))
            except Exception as error:
                found[name] = str(error)
    print(json.dumps(found))
    """
#: Prints which of the names on the standard input are not there, by module; ``None`` for a module that is not.
COMPARE = """
    import importlib, json, sys, warnings
    warnings.simplefilter("ignore")
    lacking = {}
    for module, names in json.load(sys.stdin).items():
        try:
            there = importlib.import_module(module)
        except ModuleNotFoundError as error:
            assert "Moving from Celery" in str(error), error
            lacking[module] = None
            continue
        missing = [name for name in names if not hasattr(there, name)] if isinstance(names, list) else []
        if missing:
            lacking[module] = missing
    print(json.dumps(lacking))
    """


def run(code: str, folder: Path, python_path: str, given: str = "") -> dict[str, list[str] | str | None]:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        input=given,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": python_path},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str] | str | None] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str] | str | None]:
    pytest.importorskip("celery", reason="needs Celery beside Umbel: pip install 'umbel[peers]'")
    folder = tmp_path_factory.mktemp("names")
    celerys = run(LIST, folder, "")
    assert "celery.app.task" in celerys, "this was not Celery"
    return run(COMPARE, folder, FOLDER, json.dumps(celerys))


def test_a_module_is_there_or_the_table_says_why_not(lacking: dict[str, list[str] | str | None]) -> None:
    missing = {module for module, names in lacking.items() if names is None}
    assert {module for module in missing if why_module_is_missing(module) is None} == set()
    assert {module for module in MISSING_MODULES if module not in missing} == set(), "take them out of the table"


def test_a_name_is_there_or_the_table_says_why_not(lacking: dict[str, list[str] | str | None]) -> None:
    missing = {module: set(names) for module, names in lacking.items() if names is not None}
    assert missing == {module: set(names.split()) for module, (names, _) in MISSING_NAMES.items()}


def test_an_import_of_a_missing_module_names_the_manual(tmp_path: Path) -> None:
    code = """
        import importlib.util, json
        told = []
        for name in ("celery.backends.redis", "celery.nonsense", "celery.nonsense.deeper"):
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                told.append(f"{error.name}|{error}")
        import celery
        told.append(f"|{hasattr(celery, 'nonsense')}")
        told.append(f"|{importlib.util.find_spec('no_such_module_at_all')}")
        print(json.dumps({"told": told}))
        """
    told = run(code, tmp_path, FOLDER)["told"]
    assert isinstance(told, list)
    names, texts = [text.partition("|")[0] for text in told], [text.partition("|")[2] for text in told]
    assert names == ["celery.backends.redis", "celery.nonsense", "celery.nonsense", "", ""]
    assert "chosen by the URL in result_backend" in texts[0]
    assert all("docs/how-to/move-from-celery.md" in text for text in texts[:3])
    assert texts[3:] == ["False", "None"]
