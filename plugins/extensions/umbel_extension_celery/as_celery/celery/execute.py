"""Names of Celery before 3.1."""

from __future__ import annotations

from umbel_extension_celery.old_names import apply, apply_async, delay_task, send_task

__all__ = [
    "apply",
    "apply_async",
    "delay_task",
    "send_task",
]
