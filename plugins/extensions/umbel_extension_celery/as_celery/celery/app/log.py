"""Logging."""

from __future__ import annotations

from umbel.log import TaskFormatter
from umbel_extension_celery.program_log import ApplicationLog as Logging

__all__ = [
    "Logging",
    "TaskFormatter",
]
