"""Errors and warnings."""

from __future__ import annotations

from umbel_extension_celery.errors import *
