"""Celery's own table of settings, to compare ours with."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def celerys() -> ModuleType:
    """``celery.app.defaults``, where Celery is installed."""
    pytest.importorskip("celery", reason="needs Celery: pip install celery")
    return importlib.import_module("celery.app.defaults")
