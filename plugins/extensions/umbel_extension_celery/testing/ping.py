"""The task by which a test finds out that its worker answers."""

from __future__ import annotations

from umbel import shared_task

__all__ = ["ping"]


@shared_task(name="celery.ping")
def ping() -> str:
    """Return ``pong``."""
    return "pong"
