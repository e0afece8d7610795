"""Queues and routes."""

from __future__ import annotations

from umbel_extension_celery.messaging import AMQP

__all__ = [
    "AMQP",
]
