"""Builds each plugin as a distribution of its own, and proves it on an install that has the kernel and nothing else.

``python tools/extract.py [--suites] [PLUGIN ...]``: no file is moved and no import changed; each ``pyproject.toml`` is
derived from the root's. A plugin must load without a warning, be the only one of its group, and be found by its names;
with ``--suites`` it must pass the conformance suite of its kind there too. Nothing is downloaded: the fresh environments
see the third-party packages of the one that runs this, and no monolith.
"""

from __future__ import annotations

import argparse
import ast
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import Any, Final

import attrs

ROOT: Final = Path(__file__).resolve().parent.parent
PYPROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
KERNEL_NEEDS: Final = ("attrs", "click", "pluggy", "stevedore")
#: Import name -> distribution, where the two differ.
DISTRIBUTIONS: Final = {"yaml": "pyyaml", "zstandard": "zstandard"}
#: What several plugins share; each is a distribution on which they depend.
LIBRARIES: Final = {folder.name: folder for folder in sorted((ROOT / "plugins/libraries").glob("umbel_library_*"))}
_PROOF: Final = """
import sys
from umbel.host import Host
from umbel.model import KINDS
kind, *names = sys.argv[1:]
host = Host()
offered = sorted(plugin.name for one in KINDS for plugin in host.installed(one))
assert offered == sorted(names), f"expected {names} and nothing else, got {offered}"
for name in names:
    host.load(kind, name)
"""
_NOTHING: Final = """
from umbel.exceptions import PluginNotFound
from umbel.host import Host
try:
    Host().load("transport", "memory")
except PluginNotFound as error:
    assert "no transport named 'memory' is installed (installed: none" in str(error), error
else:
    raise AssertionError("the kernel alone has a transport")
"""


@attrs.frozen
class Plugin:
    """A plugin's package in this repository."""

    package: str
    kind: str
    folder: Path
    names: dict[str, str]

    @property
    def distribution(self) -> str:
        return self.package.replace("_", "-")


def plugins() -> list[Plugin]:
    """Return every plugin that the root's entry points name."""
    found: dict[str, Plugin] = {}
    for group, points in PYPROJECT["project"]["entry-points"].items():
        kind = group.removeprefix("umbel.").removesuffix("s")
        for name, target in points.items() if group.startswith("umbel.") else ():
            package = target.partition(".")[0]
            folder = ROOT / "plugins" / group.removeprefix("umbel.") / package
            found.setdefault(package, Plugin(package, kind, folder, {})).names[name] = target
    return sorted(found.values(), key=lambda plugin: plugin.package)


def imported(folder: Path) -> set[str]:
    """Return the packages that the modules in *folder* import."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").partition(".")[0])
    return found - {"umbel", folder.name} - sys.stdlib_module_names


def libraries(folder: Path) -> list[str]:
    """Return the libraries of ours that the package in *folder* stands on."""
    return sorted(imported(folder) & set(LIBRARIES))


def drivers(folder: Path) -> list[str]:
    """Return the requirements, in the root's words, of what the package imports beside us and the standard library."""
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    texts = [
        *project["dependencies"],
        *(text for name, extra in extras.items() if name not in ("dev", "peers") for text in extra),
    ]
    known = {re.split(r"[\[<>=!~; ]", text)[0].lower(): text for text in texts}
    foreign = {DISTRIBUTIONS.get(name, name) for name in imported(folder)}
    return [known[name] for name in sorted(foreign) if name in known]


def needs(folder: Path) -> list[str]:
    """Return what the distribution of the package in *folder* depends on."""
    version = PYPROJECT["project"]["version"]
    ours = ["umbel", *(name.replace("_", "-") for name in libraries(folder))]
    return [*(f"{name}=={version}" for name in ours), *drivers(folder)]


def write_project(
    folder: Path, name: str, requirements: list[str], package: Path, points: dict[str, dict[str, str]]
) -> None:
    """Write a project of one package into *folder*."""
    shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    shutil.copy(ROOT / "LICENSE", folder)
    tables = "".join(
        f'\n[project.entry-points."{group}"]\n' + "".join(f'"{key}" = "{value}"\n' for key, value in entries.items())
        for group, entries in points.items()
    )
    project = PYPROJECT["project"]
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = {PYPROJECT["build-system"]["requires"]!r}\nbuild-backend = "hatchling.build"\n'
        f'\n[project]\nname = "{name}"\nversion = "{project["version"]}"\nrequires-python = "{project["requires-python"]}"\n'
        f'license = "BSD-3-Clause"\nlicense-files = ["LICENSE"]\ndependencies = {requirements!r}\n{tables}\n'
        f'[tool.hatch.build.targets.wheel]\npackages = ["{package.name}"]\n',
        encoding="utf-8",
    )


def build(name: str, requirements: list[str], package: Path, points: dict[str, dict[str, str]], wheels: Path) -> Path:
    """Build one wheel and return it."""
    with tempfile.TemporaryDirectory() as folder:
        write_project(Path(folder), name, requirements, package, points)
        pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(wheels), folder)
    (wheel,) = wheels.glob(f"{name.replace('-', '_')}-*.whl")
    return wheel


def pip(*arguments: str, python: Path | None = None) -> None:
    """Run pip quietly, for the environment of *python*."""
    place = ("--python", str(python)) if python else ()
    run(sys.executable, "-m", "pip", *place, "--disable-pip-version-check", "--quiet", *arguments)


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """Run a command; what it said is shown when it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command[:6])} ... failed:\n{done.stdout}")
    return done.stdout


def third_party(folder: Path) -> Path:
    """Link the third-party packages of this environment into *folder*: all but our own and its path file."""
    folder.mkdir()
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not re.match(r"_?umbel|__pycache__|.*\.pth$|pip", entry.name):
            (folder / entry.name).symlink_to(entry)
    return folder


def environment(folder: Path, libraries: Path, *wheels: Path) -> Path:
    """Make a fresh environment with *wheels* in it and *libraries* on its path; return its interpreter."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip("install", "--no-deps", "--no-index", *map(str, wheels), python=python)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(f"{libraries}\n", encoding="utf-8")
    return python


def prove(plugin: Plugin, python: Path, home: Path, with_suite: bool) -> str:
    """Prove *plugin* in its own environment; return what to say of it."""
    settings = {"UMBEL_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    run(str(python), "-W", "error", "-c", f"import {plugin.package}", environment=settings)
    run(str(python), "-c", _PROOF, plugin.kind, *plugin.names, environment=settings)
    if not with_suite:
        return "loads alone"
    name = next(iter(plugin.names))
    command = ("-m", "umbel", "plugins", "check", name, "--kind", plugin.kind)
    said = run(str(python), *command, environment=settings)
    summary = [line for line in said.splitlines() if " passed" in line or " skipped" in line]
    return summary[-1].strip("= ") if summary else "checked"


def main() -> None:
    """Build and prove what the command line names, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--suites", action="store_true", help="run the conformance suite of each plugin too")
    parser.add_argument("packages", nargs="*", metavar="PLUGIN")
    options = parser.parse_args()
    chosen = [plugin for plugin in plugins() if not options.packages or plugin.package in options.packages]
    with tempfile.TemporaryDirectory(prefix="umbel-extract-") as made:
        work = Path(made)
        wheels, foreign = work / "wheels", third_party(work / "foreign")
        scripts = {"pytest11": PYPROJECT["project"]["entry-points"]["pytest11"]}
        kernel = build("umbel", list(KERNEL_NEEDS), ROOT / "core" / "umbel", scripts, wheels)
        run(str(environment(work / "kernel", foreign, kernel)), "-c", _NOTHING)
        print("umbel: the kernel alone has no plugin, and says so")

        shared = {
            name: build(name.replace("_", "-"), needs(folder), folder, {}, work / name)
            for name, folder in LIBRARIES.items()
        }

        def extract(plugin: Plugin) -> str:
            points = {f"umbel.{plugin.folder.parent.name}": plugin.names}
            wheel = build(plugin.distribution, needs(plugin.folder), plugin.folder, points, work / plugin.package)
            below = [shared[name] for name in libraries(plugin.folder)]
            python = environment(work / f"env-{plugin.package}", foreign, kernel, *below, wheel)
            return prove(plugin, python, work / f"home-{plugin.package}", options.suites)

        with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for plugin, said in zip(chosen, pool.map(extract, chosen), strict=True):
                print(f"{plugin.distribution}: {said}; needs {', '.join(needs(plugin.folder)[1:]) or 'nothing more'}")


if __name__ == "__main__":
    main()
