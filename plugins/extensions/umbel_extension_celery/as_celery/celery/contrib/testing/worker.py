"""Workers for tests."""

from __future__ import annotations

from umbel_extension_celery.testing.workers import TestWorkController, setup_app_for_worker, start_worker

__all__ = [
    "TestWorkController",
    "setup_app_for_worker",
    "start_worker",
]
