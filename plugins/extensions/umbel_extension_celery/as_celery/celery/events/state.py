"""The state of a cluster."""

from __future__ import annotations

from umbel.events import State, Task, Worker

__all__ = [
    "State",
    "Task",
    "Worker",
]
