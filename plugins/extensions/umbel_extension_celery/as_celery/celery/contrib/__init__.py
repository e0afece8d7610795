"""What comes with Celery beside the queue."""

from __future__ import annotations
