"""What belongs into a bug report: software, plugins and settings, passwords masked."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

from umbel.model import KINDS

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["report_text"]


_LIBRARIES = ("attrs", "billiard", "click", "kombu", "orjson", "pluggy", "stevedore")


def report_text(app: Umbel | None, *, with_defaults: bool = False) -> str:
    """Return the report; without an application (``None``) the software alone."""
    versions = ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES)
    lines = [
        f"software  -> umbel {_version('umbel')}, Python {platform.python_version()} ({platform.python_implementation()})",
        f"platform  -> {platform.platform()}",
        f"libraries -> {versions}",
    ]
    for kind, group in KINDS.items():
        names = sorted({f"{entry.name} ({_owner(entry)})" for entry in metadata.entry_points(group=group)})
        lines.append(f"{kind + 's':<9} -> {', '.join(names) or 'none'}")
    if app is not None:
        lines += ["", "settings:", *_settings(app, with_defaults)]
    return "\n".join(lines)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _owner(entry: metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "?"


def _settings(app: Umbel, with_defaults: bool) -> list[str]:
    conf = app.conf
    return [f"  {name}: {value!r}  ({conf.origin(name)})" for name, value in sorted(conf.table(with_defaults).items())]
