"""Processes, users and signals."""

from __future__ import annotations

from umbel_extension_celery.processes import *
