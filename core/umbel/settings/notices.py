"""The warnings that a configuration gives, and whose line of code they point to."""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import Final

__all__ = [
    "ForeignSettingWarning",
    "UmbelDeprecationWarning",
    "UnknownSettingWarning",
    "calling_place",
    "warn",
]

_OURS: Final = (
    "umbel.",
    *(f"umbel_{kind}_" for kind in ("transport", "backend", "pool", "serializer", "router", "scheduler", "extension")),
    "click.",
    "importlib.",
)


class UmbelDeprecationWarning(DeprecationWarning):
    """Given for a name or a value that still works and will go; it names the new one."""


class ForeignSettingWarning(UserWarning):
    """Given for a setting of a plugin that is not installed: it is kept, and changes nothing."""


class UnknownSettingWarning(UserWarning):
    """Given for a name that looks like a misspelt setting, where a configuration keeps what it does not know."""


def _users_frame() -> tuple[FrameType | None, int]:
    """Return the nearest frame outside Umbel, and how many levels above the caller of this function it is."""
    frame: FrameType | None = sys._getframe(1)
    level = 0
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name != "umbel" and not name.startswith(_OURS):
            return frame, level
        frame, level = frame.f_back, level + 1
    return None, level


def calling_place() -> str:
    """Say which line of the user's code is calling: ``/srv/proj/tasks.py, line 12``."""
    frame, _ = _users_frame()
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}" if frame is not None else "code"


def warn(text: str, category: type[Warning]) -> None:
    """Warn at the line of the user's code that is calling."""
    frame, level = _users_frame()
    warnings.warn(text, category, stacklevel=level + 1 if frame is not None else 2)
