"""Where tracers hang themselves around the runs of tasks."""

from __future__ import annotations

from umbel_extension_celery.tracing import build_tracer, task_has_custom

__all__ = [
    "build_tracer",
    "task_has_custom",
]
