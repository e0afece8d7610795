"""Every public name has one home, and says so."""

from __future__ import annotations

import ast
import importlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.architecture.conftest import House


def is_public(module: str) -> bool:
    return not any(part.startswith("_") for part in module.split("."))


def declared(tree: ast.Module) -> list[str] | None:
    """Return the literal ``__all__`` of a module, or ``None``."""
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and isinstance(target, ast.Name)
            and target.id == "__all__"
            and node.value
        ):
            return list(ast.literal_eval(node.value))
    return None


def test_each_public_module_says_what_is_public(house: House) -> None:
    found = [
        house.place(module, 1)
        for module in house.kernel
        if is_public(module) and house.has_code(module) and declared(house.tree(module)) is None
    ]
    assert found == []


def test_each_name_that_is_said_to_be_public_is_there(house: House) -> None:
    found: list[str] = []
    for module in house.kernel:
        names = declared(house.tree(module))
        if not names or not is_public(module):
            continue
        loaded = importlib.import_module(module)
        found.extend(f"{module}.{name}" for name in names if not hasattr(loaded, name))
        found.extend(f"{module}.{name} twice" for name in set(names) if names.count(name) > 1)
    assert found == []


def test_each_public_function_and_class_is_said_to_be_public(house: House) -> None:
    found: list[str] = []
    for module in house.kernel:
        names = declared(house.tree(module))
        if names is None or not is_public(module):
            continue
        found.extend(
            f"{house.place(module, node.lineno)} {node.name}"
            for node in house.tree(module).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and node.name not in names
            and not (module == "umbel.hookspecs" and node.name.startswith("umbel_"))
        )
    assert found == []


def test_each_public_class_and_function_is_documented(house: House) -> None:
    found: list[str] = []
    for module in house.kernel:
        names = declared(house.tree(module)) or []
        found.extend(
            f"{house.place(module, node.lineno)} {node.name}"
            for node in house.tree(module).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name in names
            and not ast.get_docstring(node)
            and not any("overload" in ast.unparse(decorator) for decorator in node.decorator_list)
        )
    assert found == []


def test_each_module_begins_with_a_sentence(house: House) -> None:
    found = [house.place(module, 1) for module in house.sources if not ast.get_docstring(house.tree(module))]
    assert found == []


@pytest.mark.parametrize("name", ["umbel.hookspecs", "umbel.spi", "umbel.model", "umbel.exceptions", "umbel.states"])
def test_what_plugins_use_can_be_had_by_star(name: str) -> None:
    scope: dict[str, object] = {}
    exec(f"from {name} import *", scope)
    assert set(importlib.import_module(name).__all__) <= set(scope)
