"""The settings and their defaults."""

from __future__ import annotations

from umbel.settings import OPTIONS

#: Setting -> its description.
DEFAULTS = {name: option.default for name, option in OPTIONS.items()}

__all__ = [
    "DEFAULTS",
    "OPTIONS",
]
