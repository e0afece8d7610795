"""The worker program."""

from __future__ import annotations

from umbel.worker import Worker

__all__ = [
    "Worker",
]
