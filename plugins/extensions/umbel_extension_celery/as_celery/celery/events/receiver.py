"""Who listens."""

from __future__ import annotations

from umbel_extension_celery.outside import EventReceiver

__all__ = [
    "EventReceiver",
]
