"""Applications for tests."""

from __future__ import annotations

from umbel_extension_celery.testing.applications import TestApp, Trap, UnitLogging, set_trap, setup_default_app

__all__ = [
    "TestApp",
    "Trap",
    "UnitLogging",
    "set_trap",
    "setup_default_app",
]
