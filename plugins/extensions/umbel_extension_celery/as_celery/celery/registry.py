"""The tasks of the current application."""

from __future__ import annotations

from umbel_extension_celery.current import current_app
from umbel_extension_celery.proxies import Proxy

tasks = Proxy(lambda: current_app.tasks)

__all__ = [
    "tasks",
]
