"""``umbel inspect``, ``umbel control`` and ``umbel status``: remote control from the command line."""

from __future__ import annotations

from umbel.cli.remote.commands import control, inspect
from umbel.cli.remote.status import status

__all__ = ["control", "inspect", "status"]
