"""``umbel plugins``: list, show, check, new."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from umbel.cli import main
from umbel.model import KINDS


@pytest.fixture
def umbel(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[Any, str, str]]:
    """Return ``umbel(*arguments)`` -> (code, out, err)."""

    def umbel(*arguments: str) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return umbel


@pytest.fixture
def add_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Return ``add_distribution(name, entry_points)``: metadata on the import path."""

    def add(name: str, entry_points: str) -> Path:
        folder = tmp_path / name
        info = folder / f"{name}-2.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(str(folder))
        return folder

    return add


def test_list_shows_kind_name_distribution_and_module(umbel: Callable[..., tuple[Any, str, str]]) -> None:
    code, out, _ = umbel("plugins", "list")
    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    assert rows[0] == ["KIND", "NAME", "DISTRIBUTION", "MODULE"]
    assert ["pool", "processes", "umbel", "0.1.0", "umbel_pool_prefork"] in rows


def test_list_imports_no_plugin() -> None:
    code = (
        "import sys\nfrom umbel.cli import main\ntry: main(['plugins', 'list'])\nexcept SystemExit: pass\n"
        "print([m for m in sys.modules if m.startswith(('umbel_', 'stevedore', 'kombu', 'pytest'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_list_of_one_kind_as_json(umbel: Callable[..., tuple[Any, str, str]]) -> None:
    _, out, _ = umbel("plugins", "list", "--kind", "pool", "--json")
    found = json.loads(out)
    assert {plugin["kind"] for plugin in found} == {"pool"}
    assert sorted(found[0].keys()) == ["distribution", "kind", "module", "name", "version"]


def test_list_says_when_there_is_none(
    umbel: Callable[..., tuple[Any, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("umbel.host.Host.installed", lambda self, kind: ())
    assert umbel("plugins", "list", "-k", "pool")[1] == "no pool is installed\n"


def test_a_conflict_is_shown_with_its_cure(
    umbel: Callable[..., tuple[Any, str, str]], add_distribution: Callable[[str, str], Path]
) -> None:
    for name in ("one", "two"):
        add_distribution(name, "[umbel.pools]\ndemo = demo\n")
    _, out, _ = umbel("plugins", "list")
    assert "conflict: choose demo@one" in out
    code, _, err = umbel("plugins", "show", "demo")
    assert code == 78
    assert "2 distributions offer a pool named 'demo': one 2.0 and two 2.0" in err


def test_show_tells_where_a_plugin_comes_from_and_what_it_can_do(
    umbel: Callable[..., tuple[Any, str, str]], add_distribution: Callable[[str, str], Path]
) -> None:
    folder = add_distribution("shown", "[umbel.transports]\nshown = shown_plugin\n")
    (folder / "shown_plugin.py").write_text(
        "import attrs\nfrom umbel.model import PluginInfo\nfrom umbel.hookspecs import hookimpl\n"
        "from umbel.spi import TransportCapabilities\n"
        "@attrs.define\nclass Settings:\n    path: str\n    retries: int = 3\n    names: list = attrs.field(factory=list)\n"
        "plugin_info = PluginInfo(kind='transport', names=('shown',), summary='is shown', requires=('json',),\n"
        "    extra='driver', capabilities=TransportCapabilities(durable=True), settings=Settings)\n"
        "@hookimpl\ndef umbel_transport(app, url): ...\n"
    )
    code, out, _ = umbel("plugins", "show", "shown")
    assert code == 0
    for line in (
        "transport:     shown",
        "summary:       is shown",
        "distribution:  shown 2.0",
        "chosen by:     entry point umbel.transports: shown = shown_plugin",
        "drivers:       json (installed)",
        "extra:         pip install 'shown[driver]'",
        "can:           durable",
        "exchange_kinds: direct",
        "settings:      section [shown]",
        "  path:        required",
        "  retries:     default 3",
        "  names:       made anew",
    ):
        assert line in out.splitlines()
    assert "priorities" in next(line for line in out.splitlines() if line.startswith("cannot:"))


def test_an_unknown_name_is_answered_by_the_nearest(umbel: Callable[..., tuple[Any, str, str]]) -> None:
    code, _, err = umbel("plugins", "show", "prefrok")
    assert code == 78
    assert "no plugin named 'prefrok' is installed; did you mean 'prefork'?" in err
    assert "no router named 'prefork' is installed" in umbel("plugins", "show", "prefork", "-k", "router")[2]


def test_check_runs_the_suite_of_the_kind(
    umbel: Callable[..., tuple[Any, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def check(*arguments: str) -> int:
        asked.append(arguments)
        return 1

    monkeypatch.setattr("umbel.testing.check", check)
    code, out, _ = umbel("plugins", "check", "json", "--url", "x://")
    assert code == 1
    assert out == "checking serializer 'json' (from umbel 0.1.0)\n"
    assert asked == [("serializer", "json@umbel", "x://")]


def test_check_without_pytest_says_what_to_install(
    umbel: Callable[..., tuple[Any, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = umbel("plugins", "check", "json")
    assert (code, err) == (
        1,
        "umbel: the conformance suites need pytest, which is not installed: pip install 'umbel[testing]'\n",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_new_writes_a_whole_package(
    umbel: Callable[..., tuple[Any, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = umbel("plugins", "new", kind, "my-own")
    assert (code, err) == (0, "")
    package = f"umbel_{kind}_my_own"
    made = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    top = f"umbel-{kind}-my-own"
    assert made == [
        f"{top}/README.md",
        f"{top}/pyproject.toml",
        f"{top}/src/{package}/__init__.py",
        f"{top}/src/{package}/py.typed",
        f"{top}/tests/test_{package}.py",
    ]
    text = "".join((tmp_path / name).read_text() for name in made)
    assert "demo" not in text.lower()
    assert f'[project.entry-points."{KINDS[kind]}"]\nmy-own = "{package}"' in text
    assert f"wrote {top}: {kind} 'my-own'" in out


def test_new_overwrites_nothing(umbel: Callable[..., tuple[Any, str, str]], tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    code, _, err = umbel("plugins", "new", "pool", "mine", "--directory", str(tmp_path))
    assert code == 1
    assert "exists and is not empty; choose another place with --directory" in err


@pytest.mark.parametrize("name", ["Upper", "9nine", "a b", "../up", "trailing-", ""])
def test_new_refuses_names_that_cannot_be_packages(
    umbel: Callable[..., tuple[Any, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert umbel("plugins", "new", "pool", name)[0] == 2
    assert list(tmp_path.iterdir()) == []
