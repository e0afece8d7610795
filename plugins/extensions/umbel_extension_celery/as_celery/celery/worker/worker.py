"""The worker."""

from __future__ import annotations

from umbel.worker import Worker as WorkController

__all__ = [
    "WorkController",
]
