"""A worker is killed between the steps of the commit that completes a chord: another one ends the chord, once."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from umbel import chord

SOON_S = 40.0
PROJECT = Path(__file__).parent / "killed_project.py"


def _make_app(broker: str, backend: str) -> Any:
    spec = importlib.util.spec_from_file_location("killed_project", PROJECT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_app(broker, backend)


#: In one transaction a chord is concluded with what completes it; else there is a point in between.
POINTS = [
    *((store, "after the join") for store in ("sqlite", "redis", "postgres")),
    ("sqlite", "before the join"),
    ("redis beside sqlite", "after the join"),
    ("redis beside sqlite", "before the conclusion"),
]


@pytest.fixture
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    sqlite = f"sqlite:///{tmp_path}/killed.db"
    if request.param == "sqlite":
        yield sqlite, sqlite
    elif request.param == "postgres":
        url = f"{request.getfixturevalue('postgres_server').url}?schema=killed_{tmp_path.name[-12:].replace('-', '_')}"
        yield url, url
    else:
        redis = request.getfixturevalue("redis_server").url
        yield (redis if request.param == "redis" else sqlite), redis


@pytest.mark.parametrize(("urls", "point"), POINTS, indirect=["urls"])
def test_another_worker_ends_the_chord(urls: tuple[str, str], point: str, tmp_path: Path) -> None:
    mark = tmp_path / "killed"
    with _make_app(*urls) as app:
        result = chord([app.signature("ident", args=(n,)) for n in range(3)], app.signature("gather")).delay()
        command = [sys.executable, str(PROJECT), *urls, point, str(mark)]
        with subprocess.Popen(command) as first:
            assert first.wait(SOON_S) == -9
        assert mark.exists()
        with subprocess.Popen(command) as second:
            try:
                assert result.get(timeout=SOON_S) == [0, 1, 2]
            finally:
                second.kill()
