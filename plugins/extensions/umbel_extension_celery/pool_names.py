"""Pools by their names."""

from __future__ import annotations

from typing import Any

from umbel.exceptions import PluginNotFound
from umbel.host import Host

__all__ = ["get_available_pool_names", "get_implementation"]


def get_available_pool_names() -> tuple[str, ...]:
    """Return the names of the installed pools."""
    return tuple(plugin.name for plugin in Host().installed("pool"))


def get_implementation(cls: Any) -> Any:
    """Return the class that *cls* is or names; for a pool of Umbel's the name itself. ``KeyError`` for an unknown one."""
    if not isinstance(cls, str):
        return cls
    from umbel_extension_celery.symbols import symbol_by_name  # beside its only use

    if ":" in cls or "." in cls:
        return symbol_by_name(cls)
    try:
        Host().find("pool", cls)
    except PluginNotFound as error:
        raise KeyError(str(error)) from error
    return cls
