"""What a file takes from Celery's modules, and whether it is there on Umbel."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from umbel.suggestions import suggest
from umbel_extension_celery.migrating.findings import Finding, Level
from umbel_extension_celery.migrating.reading import Source
from umbel_extension_celery.migrating.shim_names import module_is_there, names_of
from umbel_extension_celery.missing import MISSING_NAMES, why_module_is_missing

__all__ = ["find_imports", "imported_names"]

#: Other libraries that belong to Celery -> what is to be known of them.
_NEIGHBOURS: Final = {
    "billiard": (Level.MAPS, "installed with Umbel"),
    "kombu": (Level.MAPS, "installed with Umbel"),
    "eventlet": (Level.DIFFERS, "Umbel has no pool of green threads: nothing here is patched by it"),
    "gevent": (Level.DIFFERS, "Umbel has no pool of green threads: nothing here is patched by it"),
}
_NO_SIGNALS: Final = "eventlet_pool_"


def imported_names(source: Source) -> dict[str, str]:
    """Return what each name in the file stands for, of those that come from Celery: ``{"Celery": "celery.Celery"}``."""
    found: dict[str, str] = {}
    for node in ast.walk(source.tree) if source.tree else ():
        if isinstance(node, ast.ImportFrom) and node.module and not node.level and _is_celery(node.module):
            found.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if _is_celery(alias.name):
                    found[alias.asname or "celery"] = alias.name if alias.asname else "celery"
    return found


def find_imports(source: Source) -> Iterator[Finding]:
    """Yield a finding for each module of Celery's, and each name, that the file imports."""
    for node in ast.walk(source.tree) if source.tree else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module(alias.name, source, node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [alias.name for alias in node.names]
            yield from _names(node.module, names, source, node.lineno)


def _is_celery(module: str) -> bool:
    return module.partition(".")[0] == "celery"


def _module(module: str, source: Source, line: int) -> Iterator[Finding]:
    top = module.partition(".")[0]
    if top in _NEIGHBOURS:
        level, advice = _NEIGHBOURS[top]
        yield Finding(level, "import", module, advice, source.name, line)
    elif top == "celery":
        if module_is_there(module):
            yield Finding(Level.MAPS, "import", module, "", source.name, line)
        else:
            yield _missing_module(module, source, line)


def _missing_module(module: str, source: Source, line: int) -> Finding:
    why = why_module_is_missing(module) or "Celery 5.7 has no such module either, and neither has Umbel"
    return Finding(Level.CHANGE, "import", f"{module} is missing", why, source.name, line)


def _names(module: str, names: list[str], source: Source, line: int) -> Iterator[Finding]:
    if not _is_celery(module) or not module_is_there(module):
        yield from _module(module, source, line)
        return
    known = names_of(module)
    there = [name for name in names if name in known or name == "*" or module_is_there(f"{module}.{name}")]
    if there:
        yield Finding(Level.MAPS, "import", f"{', '.join(there)} of {module}", "", source.name, line)
    for name in names:
        if name not in there:
            yield _missing_name(module, name, source, line)
        elif name.startswith(_NO_SIGNALS):
            why = "there is no eventlet pool, so the signal is never sent"
            yield Finding(Level.DIFFERS, "signal", name, why, source.name, line)


def _missing_name(module: str, name: str, source: Source, line: int) -> Finding:
    lacking, why = MISSING_NAMES.get(module, ("", ""))
    if why_module_is_missing(f"{module}.{name}"):
        return _missing_module(f"{module}.{name}", source, line)
    if name not in lacking.split():
        why = f"no public name of Celery 5.7's{suggest(name, names_of(module))}"
    return Finding(Level.CHANGE, "import", f"{module}.{name} is missing", why, source.name, line)
