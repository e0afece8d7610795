"""Tasks that can be asked to stop."""

from __future__ import annotations

from umbel.contrib.abortable import ABORTED, AbortableAsyncResult, AbortableTask

__all__ = [
    "ABORTED",
    "AbortableAsyncResult",
    "AbortableTask",
]
