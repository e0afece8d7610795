"""Values for people: short, and with every secret masked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from umbel.settings.schema import OPTIONS

__all__ = ["masked", "shown"]


def masked(name: str, value: Any) -> Any:
    """Return *value* of the setting *name* with passwords, keys and the passwords of URLs replaced by ``**``."""
    from umbel.urls import MASK, is_secret_name, mask_url  # parses URLs: needed to show, not to run

    row = OPTIONS.get(name)
    last = name.rpartition(".")[2]
    if value is None or value == "":
        return value
    if isinstance(value, Mapping):
        return {key: masked(f".{key}", item) for key, item in value.items()}
    if is_secret_name(last) or last.endswith(
        ("_password", "_secret_access_key", "_access_key_id", "_credential_provider")
    ):
        return MASK
    if isinstance(value, str):
        return mask_url(value) if "://" in value or (row is not None and row.secret) else str(value)
    if row is not None and row.secret and not isinstance(value, list | tuple):
        return MASK
    if isinstance(value, list | tuple):
        return type(value)(masked(f".{last}", item) for item in value) if type(value) in (list, tuple) else value
    return value


def shown(name: str, value: Any) -> str:
    """Return *value* as it is written in an error or a table: masked, and not endlessly long."""
    text = repr(masked(name, value))
    return text if len(text) <= 120 else f"{text[:117]}..."
