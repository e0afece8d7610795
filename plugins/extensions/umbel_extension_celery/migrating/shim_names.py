"""The names that the package ``celery`` of this extension gives, read from its files: nothing is put in Celery's place."""

from __future__ import annotations

import ast
import functools
import importlib
import os
from collections.abc import Iterator

from umbel_extension_celery.installing import FOLDER

__all__ = ["module_is_there", "names_of"]


def _path(module: str) -> str | None:
    base = os.path.join(FOLDER, *module.split("."))
    for path in (os.path.join(base, "__init__.py"), f"{base}.py"):
        if os.path.isfile(path):
            return path
    return None


def module_is_there(module: str) -> bool:
    """Say whether ``import module`` works on Umbel."""
    return _path(module) is not None


@functools.cache
def names_of(module: str) -> frozenset[str]:
    """Return the names that *module* gives, its modules among them."""
    path = _path(module)
    if path is None:
        return frozenset()
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    names = {name for node in tree.body for name in _bound_by(node)}
    if path.endswith("__init__.py"):
        names.update(entry.removesuffix(".py") for entry in os.listdir(os.path.dirname(path)))
    return frozenset(names)


def _bound_by(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
        origin = importlib.import_module(node.module or "")  # one of ours
        yield from getattr(origin, "__all__", dir(origin))
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))
        # A table of names that are looked up when they are used.
        if isinstance(node.value, ast.Dict):
            yield from (
                key.value for key in node.value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
            )
