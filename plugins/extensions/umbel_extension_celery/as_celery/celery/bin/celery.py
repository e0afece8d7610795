"""The command line."""

from __future__ import annotations

from umbel_extension_celery.commands import celery, main

__all__ = [
    "celery",
    "main",
]
