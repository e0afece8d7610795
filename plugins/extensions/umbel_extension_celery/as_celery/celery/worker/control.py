"""Commands to workers."""

from __future__ import annotations

from umbel.worker.control import Panel, control_command, inspect_command

__all__ = [
    "Panel",
    "control_command",
    "inspect_command",
]
