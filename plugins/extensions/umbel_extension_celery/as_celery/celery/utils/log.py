"""Loggers."""

from __future__ import annotations

from umbel.log import LEVELS as LOG_LEVELS
from umbel.log import ColorFormatter, get_logger, get_task_logger
from umbel.log import LogStream as LoggingProxy
from umbel.log import parse_level as mlevel
from umbel_extension_celery.program_log import base_logger, task_logger, worker_logger

__all__ = [
    "LOG_LEVELS",
    "ColorFormatter",
    "LoggingProxy",
    "base_logger",
    "get_logger",
    "get_task_logger",
    "mlevel",
    "task_logger",
    "worker_logger",
]
