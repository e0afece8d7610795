"""What an application shows of itself."""

from __future__ import annotations

from umbel.app_loading import find_app
from umbel.urls import mask_url as sanitize_url
from umbel_extension_celery.bug_report import appstr, bugreport
from umbel_extension_celery.configuration import CeleryConfiguration as Settings

__all__ = [
    "Settings",
    "appstr",
    "bugreport",
    "find_app",
    "sanitize_url",
]
