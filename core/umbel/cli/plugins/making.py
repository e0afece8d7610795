"""``umbel plugins new``: writes a package that is ready to be installed, tested and published."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from umbel.cli import templates
from umbel.exceptions import UmbelError
from umbel.model import API_VERSION, KINDS

__all__ = ["new_plugin"]

_NAME: Final = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")


@click.command("new")
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("name")
@click.option("--directory", type=click.Path(path_type=Path), help="Where to; ./umbel-KIND-NAME if not given.")
def new_plugin(kind: str, name: str, directory: Path | None) -> None:
    """Write a new plugin package of KIND that answers to NAME.

    It works as it is, in this process alone, and comes with a test that runs the conformance suite of its kind. Put
    your own code in the place of its methods.
    """
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f"expected a name such as 'redis' or 'my-store', got {name!r}", param_hint="NAME")
    distribution = f"umbel-{kind}-{name.replace('_', '-')}"
    target = directory or Path(distribution)
    if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
        raise UmbelError(f"{target} exists and is not empty; choose another place with --directory")
    words = _words(kind, name, distribution)
    package = distribution.replace("-", "_")
    sources = {
        "pyproject.toml": "package/pyproject.toml",
        "README.md": "package/README.md",
        f"src/{package}/__init__.py": f"{kind}/plugin.py",
        f"tests/test_{package}.py": f"{kind}/test_plugin.py",
    }
    for place, source in sources.items():
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_filled(source, words), encoding="utf-8")
    (target / "src" / package / "py.typed").touch()
    click.echo(f"wrote {target}: {kind} {name!r} in the package {package}")
    click.echo(f"next: cd {target}; pip install -e '.[test]'; pytest; umbel plugins check {name}")


def _words(kind: str, name: str, distribution: str) -> dict[str, str]:
    """Return what stands in the templates and what takes its place, the longer words first."""
    camel = "".join(part.capitalize() for part in re.split(r"[_-]", name))
    return {
        "umbel-kind-demo": distribution,
        "umbel_kind_demo": distribution.replace("-", "_"),
        f"umbel_{kind}_demo": distribution.replace("-", "_"),
        "umbel.kinds": KINDS[kind],
        "the-kind": kind,
        "the-api": str(API_VERSION),
        "Demo": camel,
        "demo": name,
    }


def _filled(source: str, words: dict[str, str]) -> str:
    text = files(templates).joinpath(*source.split("/")).read_text(encoding="utf-8")
    pattern = re.compile("|".join(map(re.escape, words)))
    return pattern.sub(lambda found: words[found[0]], text)
