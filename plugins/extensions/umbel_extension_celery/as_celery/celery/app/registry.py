"""The tasks of an application."""

from __future__ import annotations

from umbel.registry import Registry as TaskRegistry

__all__ = [
    "TaskRegistry",
]
