"""Names of Celery before 3.1."""

from __future__ import annotations

from umbel import shared_task as task
from umbel_extension_celery.old_names import periodic_task

__all__ = [
    "periodic_task",
    "task",
]
