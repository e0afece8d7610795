"""The files of a project, read as text and as syntax trees. Nothing of them is imported or run."""

from __future__ import annotations

import ast
import os
import tokenize
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

__all__ = ["Project", "Source", "read_project"]

_NOT_ENTERED: Final = frozenset(
    {"__pycache__", "build", "dist", "env", "htmlcov", "node_modules", "site-packages", "venv", "virtualenv"}
)
_COMMAND_FILES: Final = ("Procfile", "Dockerfile", "Containerfile", "Makefile", "crontab")
_COMMAND_ENDINGS: Final = (".service", ".sh", ".yml", ".yaml", ".conf", ".ini", ".dockerfile", ".mk", ".bash")
_REQUIREMENT_FILES: Final = ("pyproject.toml", "setup.cfg", "Pipfile", "environment.yml", "environment.yaml")
#: A longer file is data, not code that somebody wrote.
_MOST_BYTES: Final = 2_000_000


@attrs.frozen
class Source:
    """A file: *name* is its path within the project, *tree* is there for Python files."""

    name: str
    text: str
    tree: ast.Module | None = None

    @property
    def module_path(self) -> str:
        """The file's path as a dotted name, from the project's folder down."""
        return self.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@attrs.frozen
class Project:
    """What was read, by what it may hold; *skipped* says which files could not be read, and why."""

    root: Path
    python: tuple[Source, ...]
    command_files: tuple[Source, ...]
    requirement_files: tuple[Source, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def files(self) -> int:
        """How many files were read."""
        return len({source.name for source in (*self.python, *self.command_files, *self.requirement_files)})

    def modules(self, dotted: str) -> Iterator[Source]:
        """Yield the files that may be the module *dotted*; the project's import path is not known, so by their ends."""
        for source in self.python:
            if source.module_path == dotted or source.module_path.endswith(f".{dotted}"):
                yield source


def read_project(root: Path) -> Project:
    """Read the project in the folder, or the one file, *root*."""
    python: list[Source] = []
    commands: list[Source] = []
    requirements: list[Source] = []
    skipped: list[tuple[str, str]] = []
    for path in [root] if root.is_file() else sorted(_walk(root)):
        name = path.name if root.is_file() else path.relative_to(root).as_posix()
        kinds = _kinds(path)
        if not any(kinds):
            continue
        try:
            source = _read(path, name, is_python=kinds[0])
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            skipped.append((name, _reason(error)))
            continue
        for found, of_kind in zip((python, commands, requirements), kinds, strict=True):
            if of_kind:
                found.append(source)
    return Project(root, tuple(python), tuple(commands), tuple(requirements), tuple(skipped))


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if name not in _NOT_ENTERED
            and not name.startswith(".")
            and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
        ]
        yield from (Path(folder, name) for name in files)


def _kinds(path: Path) -> tuple[bool, bool, bool]:
    """Say whether *path* may hold Python, command lines, requirements."""
    name = path.name
    return (
        name.endswith(".py"),
        name.startswith(_COMMAND_FILES) or name.endswith(_COMMAND_ENDINGS),
        name in _REQUIREMENT_FILES or ("requirement" in path.as_posix() and name.endswith((".txt", ".in"))),
    )


def _read(path: Path, name: str, *, is_python: bool) -> Source:
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ValueError(f"expected at most {_MOST_BYTES} bytes, got {size}")
    if not is_python:
        return Source(name, path.read_text(encoding="utf-8", errors="replace"))
    with tokenize.open(path) as file:  # in the encoding that the file declares
        text = file.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the project's invalid escapes are not ours to tell
        return Source(name, text, ast.parse(text, name))


def _reason(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: {error.msg}"
    return str(error) or type(error).__name__
