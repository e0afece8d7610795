"""Which way imports run."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.architecture.conftest import House

KERNEL_MAY_IMPORT = {"attr", "attrs", "pluggy", "stevedore", "click"}
#: The suites are imported by tests alone.
TESTING_MAY_IMPORT = KERNEL_MAY_IMPORT | {"pytest", "_pytest", "hypothesis"}
PLUGINS_MAY_IMPORT = {
    "umbel",
    "umbel.bindings",
    "umbel.doorbell",
    "umbel.exceptions",
    "umbel.hookspecs",
    "umbel.model",
    "umbel.schedules",
    "umbel.signals",
    "umbel.spi",
    "umbel.sqlite_file",
    "umbel.states",
    "umbel.urls",
}

#: What one plugin may see beside that, and why: the names of Celery's that it gives have Umbel's own classes behind them.
MAY_ALSO_IMPORT = {
    "umbel_extension_celery": {
        "umbel.app_loading",
        "umbel.beat",
        "umbel.calling.ids",
        "umbel.canvas",
        "umbel.cli",
        "umbel.context",
        "umbel.contrib",
        "umbel.control",
        "umbel.current",
        "umbel.einfo",
        "umbel.events",
        "umbel.host",
        "umbel.log",
        "umbel.protocol",
        "umbel.registry",
        "umbel.results",
        "umbel.schedules",
        "umbel.settings",
        "umbel.suggestions",
        "umbel.task_attributes",
        "umbel.task_naming",
        "umbel.worker",
    },
    # The state of a cluster is what it shows; a wrong word of a filter is told its neighbour.
    "umbel_extension_monitor": {"umbel.events", "umbel.suggestions"},
}


def top(module: str) -> str:
    return module.partition(".")[0]


def is_within(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def test_the_kernel_imports_no_plugin_and_no_driver(house: House) -> None:
    found = [
        f"{house.place(module, used.line)} imports {used.module}"
        for module in house.kernel
        for used in house.imports(module)
        if top(used.module) != "umbel"
        and top(used.module) not in sys.stdlib_module_names
        and top(used.module) not in (TESTING_MAY_IMPORT if module.startswith("umbel.testing") else KERNEL_MAY_IMPORT)
    ]
    assert found == []


def test_pluggys_manager_and_stevedore_have_one_home(house: House) -> None:
    users = {
        module
        for module in house.kernel
        for used in house.imports(module)
        if top(used.module) in ("pluggy", "stevedore")
    }
    assert users == {"umbel.hookspecs", "umbel.host.loading"}


def test_the_product_does_not_import_its_test_suites(house: House) -> None:
    found = [
        f"{house.place(module, used.line)} imports {used.module}"
        for module in house.sources
        for used in house.imports(module)
        if is_within(used.module, ["umbel.testing"])
        and not module.startswith("umbel.testing")
        and module != "umbel.cli.plugins.checking"
    ]
    assert found == []


def test_a_plugin_sees_the_public_kernel_and_no_sibling(house: House) -> None:
    found = []
    for package, (_, modules) in [*house.plugins.items(), *house.libraries.items()]:
        visible = PLUGINS_MAY_IMPORT | MAY_ALSO_IMPORT.get(package, set())
        for module in modules:
            for used in house.imports(module):
                if top(used.module) in {package, *house.libraries} or top(used.module) in sys.stdlib_module_names:
                    continue
                if top(used.module) == "umbel":
                    public = is_within(used.module, visible - {"umbel"}) or used.module == "umbel"
                    if used.module == "umbel":  # a submodule by another spelling
                        public = all(
                            f"umbel.{name}" not in house.kernel or f"umbel.{name}" in visible for name in used.names
                        )
                    if not public:
                        found.append(f"{house.place(module, used.line)} imports {used.module}")
                elif top(used.module).startswith("umbel_"):
                    found.append(f"{house.place(module, used.line)} imports its sibling {used.module}")
    assert found == []


def test_a_library_is_there_for_two_plugins_and_imports_no_other(house: House) -> None:
    users = {
        library: {
            package
            for package, (_, modules) in house.plugins.items()
            if any(top(used.module) == library for module in modules for used in house.imports(module))
        }
        for library in house.libraries
    }
    assert [library for library, packages in users.items() if len(packages) < 2] == []
    found = [
        f"{house.place(module, used.line)} imports {used.module}"
        for package, (_, modules) in house.libraries.items()
        for module in modules
        for used in house.imports(module)
        if top(used.module) in set(house.libraries) - {package}
    ]
    assert found == []


def test_a_plugins_driver_is_a_dependency_of_the_project(house: House) -> None:
    project = house.pyproject["project"]
    texts = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    known = {re.split(r"[\[<>=!~; ]", text)[0].lower().replace("-", "_") for text in texts} | {"yaml", "attr"}
    found = [
        f"{house.place(module, used.line)} imports {used.module}"
        for _, modules in [*house.plugins.values(), *house.libraries.values()]
        for module in modules
        for used in house.imports(module)
        if not top(used.module).startswith("umbel")
        and top(used.module) not in sys.stdlib_module_names
        and top(used.module).lower() not in known
    ]
    assert found == []


def own_targets(house: House, module: str) -> Iterator[str]:
    """Yield the kernel modules that *module* imports at run time, deferred imports counted."""
    for used in house.imports(module):
        if used.is_for_types or top(used.module) != "umbel":
            continue
        submodules = [f"{used.module}.{name}" for name in used.names if f"{used.module}.{name}" in house.kernel]
        yield from submodules
        if len(submodules) < len(used.names) or not used.names:
            yield used.module


def knots(graph: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the strongly connected groups of more than one module (Tarjan)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in graph[node]:
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in graph:
        if node not in order:
            visit(node)
    return found


def test_tarjan_finds_a_planted_knot() -> None:
    assert knots({"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": []}) == [["a", "b", "c"]]


def test_the_kernel_has_no_import_cycle(house: House) -> None:
    graph = {
        module: sorted({target for target in own_targets(house, module) if target in house.kernel} - {module})
        for module in house.kernel
    }
    assert knots(graph) == []


def test_a_plugin_has_no_import_cycle(house: House) -> None:
    for _, modules in [*house.plugins.values(), *house.libraries.values()]:
        graph = {
            module: sorted(
                {
                    name
                    for used in house.imports(module)
                    if not used.is_for_types
                    for name in [used.module, *(f"{used.module}.{name}" for name in used.names)]
                    if name in modules
                }
                - {module}
            )
            for module in modules
        }
        # "from package import name" inside of a package names the package itself too; its front imports its rooms.
        for module, targets in graph.items():
            if "." in module:
                graph[module] = [target for target in targets if "." in target]
        assert knots(graph) == []


def test_an_import_of_ours_inside_a_function_says_why(house: House) -> None:
    """In a comment beside it, or in one for the whole file that speaks of its imports."""
    found = []
    for module in house.sources:
        lines = house.sources[module].read_text(encoding="utf-8").splitlines()
        if any(line.startswith("#") and "import" in line.lower() for line in lines):
            continue
        for used in house.imports(module):
            if not used.is_deferred or used.is_for_types or not top(used.module).startswith("umbel"):
                continue
            near = lines[max(0, used.line - 3) : used.line]
            if not any("#" in line for line in near):
                found.append(f"{house.place(module, used.line)} imports {used.module} without a word")
    assert found == []


def strings_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, node.lineno


def test_no_class_of_ours_is_named_by_a_string(house: House) -> None:
    """Tools cannot follow a string. The one table of strings is the command line's: help must import no command."""
    dotted = re.compile(r"umbel[\w.]*:[A-Za-z_][\w.]*")
    found = [
        f"{house.place(module, line)} {text!r}"
        for module in house.sources
        if module != "umbel.cli"
        for text, line in strings_of(house.tree(module))
        if dotted.fullmatch(text)
    ]
    assert found == []


def test_the_kernel_names_no_plugin(house: House) -> None:
    found = [
        f"{house.place(module, line)} {text!r}"
        for module in house.kernel
        for text, line in strings_of(house.tree(module))
        if text.partition(".")[0] in {**house.plugins, **house.libraries}
    ]
    assert found == []


def test_the_kernel_sends_signals_robustly(house: House) -> None:
    """``Signal.send`` lets a receiver's error out: it is for those who define signals of their own."""
    found = []
    for module in house.kernel:
        names = {
            name for used in house.imports(module) if used.module in ("umbel.signals", "umbel") for name in used.names
        }
        for node in ast.walk(house.tree(module)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "send"):
                continue
            owner = ast.unparse(node.func.value)
            if owner.startswith("signals.") or owner in names - {"signals"}:
                found.append(f"{house.place(module, node.lineno)} {owner}.send")
    assert found == []


def test_no_global_statement(house: House) -> None:
    found = [
        house.place(module, node.lineno)
        for module in house.sources
        for node in ast.walk(house.tree(module))
        if isinstance(node, ast.Global)
    ]
    assert found == []
