"""The task that tells whether a worker answers."""

from __future__ import annotations

from umbel_extension_celery.testing.ping import ping

__all__ = [
    "ping",
]
