"""Tasks and their requests."""

from __future__ import annotations

from umbel import Context
from umbel_extension_celery.tasks import Task

__all__ = [
    "Context",
    "Task",
]
