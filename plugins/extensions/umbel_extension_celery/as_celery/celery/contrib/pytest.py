"""Fixtures for the tests of Celery projects."""

from __future__ import annotations

from umbel_extension_celery.testing.fixtures import *
