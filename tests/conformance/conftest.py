"""Which installed plugins have a test class here, and what to do about one that has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from umbel.exceptions import PluginError
from umbel.host import Host


def installed_modules(kind: str) -> dict[str, str]:
    """Return one entry-point name for each installed module: several names may lead to one."""
    return {plugin.module: plugin.name for plugin in reversed(Host().installed(kind))}


@pytest.fixture(scope="session")
def uncovered() -> Callable[[str, Mapping[str, Any]], list[str]]:
    """Tell which installed plugins of a kind are under no test class of a module (its ``globals()``)."""

    def find(kind: str, names: Mapping[str, Any]) -> list[str]:
        covered = {getattr(item, "plugin", None) for item in names.values() if isinstance(item, type)}
        modules = {plugin.module for plugin in Host().installed(kind) if plugin.name in covered}
        found = []
        for module, name in installed_modules(kind).items():
            if module in modules:
                continue
            try:
                Host().load(kind, name)
            except PluginError:
                continue  # its driver is not installed; tests/integration say so
            found.append(
                f"the {kind} {name!r} ({module}) is installed and not under test: add a class to "
                f"tests/conformance/test_{kind}s.py with plugin = {name!r} and a fixture that makes a fresh store"
            )
        return found

    return find
