"""The request of a running task."""

from __future__ import annotations

from umbel import Context as Request

__all__ = [
    "Request",
]
