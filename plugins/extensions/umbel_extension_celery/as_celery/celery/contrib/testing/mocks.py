"""Messages for tests."""

from __future__ import annotations

from umbel_extension_celery.testing.messages import TaskMessage, TaskMessage1, task_message_from_sig

__all__ = [
    "TaskMessage",
    "TaskMessage1",
    "task_message_from_sig",
]
