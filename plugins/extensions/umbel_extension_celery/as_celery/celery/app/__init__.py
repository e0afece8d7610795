"""Applications."""

from __future__ import annotations

from umbel import shared_task
from umbel_extension_celery.application import Celery
from umbel_extension_celery.bug_report import bugreport
from umbel_extension_celery.current import app_or_default, current_app

default_app = current_app

__all__ = [
    "Celery",
    "app_or_default",
    "bugreport",
    "default_app",
    "shared_task",
]
