"""The house as data: its modules, what they import, and what the packaging says of them."""

from __future__ import annotations

import ast
import functools
import pathlib
import tomllib

import attrs
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
#: The kinds of plugin and the folder of each.
KIND_FOLDERS = {
    "transport": "transports",
    "backend": "backends",
    "pool": "pools",
    "serializer": "serializers",
    "router": "routers",
    "scheduler": "schedulers",
    "extension": "extensions",
}
LIBRARIES = "libraries"


@attrs.frozen
class Import:
    """One imported module as seen from a file; *is_deferred* inside a function, *is_for_types* never at run time."""

    module: str
    names: tuple[str, ...]
    line: int
    is_deferred: bool
    is_for_types: bool


@functools.cache
def parsed(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(path: pathlib.Path, module: str, is_package: bool) -> list[Import]:
    """Return every import of the file, relative ones resolved."""
    found: list[Import] = []

    def visit(node: ast.AST, is_deferred: bool, is_for_types: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, (), node.lineno, is_deferred, is_for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                parts = module.split(".") if is_package else module.split(".")[:-1]
                source = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [source])])
            names = tuple(alias.name for alias in node.names)
            found.append(Import(source, names, node.lineno, is_deferred, is_for_types))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for inner in node.body:
                visit(inner, is_deferred, True)
            for inner in node.orelse:
                visit(inner, is_deferred, is_for_types)
        else:
            inside = is_deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                visit(child, inside, is_for_types)

    visit(parsed(path), False, False)
    return found


def modules_under(folder: pathlib.Path, package: str) -> dict[str, pathlib.Path]:
    """Return module name -> file of *package* in *folder*."""
    found = {}
    for path in sorted((folder / package).rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        # What `umbel plugins new` copies is no module of ours; what repeats Celery's names has Celery's layout.
        if "templates" in parts or "as_celery" in parts:
            continue
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


class House:
    """What stands in this repository."""

    root = ROOT

    def __init__(self) -> None:
        self.pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        self.kernel = modules_under(ROOT / "core", "umbel")
        #: plugin package -> (folder of its kind, module name -> file)
        self.plugins = {
            package.name: (folder.name, modules_under(folder, package.name))
            for folder in sorted((ROOT / "plugins").iterdir())
            if folder.is_dir() and folder.name != LIBRARIES
            for package in sorted(folder.iterdir())
            if package.is_dir() and not package.name.startswith((".", "__"))
        }
        #: What several plugins share: package -> (its folder, module name -> file)
        self.libraries = {
            package.name: (LIBRARIES, modules_under(package.parent, package.name))
            for package in sorted((ROOT / "plugins" / LIBRARIES).iterdir())
            if package.is_dir() and not package.name.startswith((".", "__"))
        }

    @property
    def sources(self) -> dict[str, pathlib.Path]:
        """Every module of the kernel, of all plugins and of their libraries."""
        merged = dict(self.kernel)
        for _, modules in [*self.plugins.values(), *self.libraries.values()]:
            merged.update(modules)
        return merged

    def imports(self, module: str) -> list[Import]:
        path = self.sources[module]
        return imports_of(path, module, path.name == "__init__.py")

    def place(self, module: str, line: int) -> str:
        return f"{self.sources[module].relative_to(ROOT)}:{line}"

    def tree(self, module: str) -> ast.Module:
        return parsed(self.sources[module])

    def has_code(self, module: str) -> bool:
        """Say whether there is more than a docstring."""
        return any(not isinstance(node, ast.Expr) for node in self.tree(module).body)

    def entry_points(self) -> list[tuple[str, str, str]]:
        """Return (kind folder, name, module) of each entry point of a plugin group."""
        groups = self.pyproject["project"]["entry-points"]
        return [
            (group.removeprefix("umbel."), name, target)
            for group, points in groups.items()
            if group.startswith("umbel.")
            for name, target in points.items()
        ]


@pytest.fixture(scope="session")
def house() -> House:
    return House()


@pytest.fixture(scope="session")
def kind_folders() -> dict[str, str]:
    return KIND_FOLDERS
