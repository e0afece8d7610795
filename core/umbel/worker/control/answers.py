"""The two shapes of a plain answer, and how anything else becomes plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from umbel.protocol.reprs import saferepr

__all__ = ["failed", "ok", "plain"]

_DEEPEST = 20


def ok(value: Any) -> dict[str, Any]:
    """Say that a command was obeyed."""
    return {"ok": value}


def failed(value: str) -> dict[str, str]:
    """Say that it was not, and why."""
    return {"error": value}


def plain(value: Any, depth: int = 0) -> Any:
    """Return *value* with only what JSON knows in it: anything else as its ``repr``."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth > _DEEPEST:
        return saferepr(value, 100)
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each, depth + 1) for each in value]
    return saferepr(value, 2000)
