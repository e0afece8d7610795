"""Names of Celery before 3.1."""

from __future__ import annotations

from umbel import shared_task as task
from umbel.canvas import TaskSet, subtask
from umbel_extension_celery.old_names import PeriodicTask, periodic_task
from umbel_extension_celery.tasks import Task

__all__ = [
    "PeriodicTask",
    "Task",
    "TaskSet",
    "periodic_task",
    "subtask",
    "task",
]
