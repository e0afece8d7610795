"""The current application and task."""

from __future__ import annotations

import umbel_extension_celery.application  # noqa: F401 - makes the default application where one is needed
from umbel_extension_celery.current import (
    app_or_default,
    connect_on_app_finalize,
    current_app,
    current_task,
    get_current_app,
    get_current_task,
    get_current_worker_task,
    set_default_app,
    task_join_will_block,
)

__all__ = [
    "app_or_default",
    "connect_on_app_finalize",
    "current_app",
    "current_task",
    "get_current_app",
    "get_current_task",
    "get_current_worker_task",
    "set_default_app",
    "task_join_will_block",
]
