"""The worker: what runs tasks."""

from __future__ import annotations

from umbel.worker.steps import Step
from umbel.worker.worker import Worker

__all__ = ["Step", "Worker"]
