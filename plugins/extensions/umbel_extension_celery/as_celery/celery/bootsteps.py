"""Steps of a worker."""

from __future__ import annotations

from umbel_extension_celery.steps import Blueprint, ConsumerStep, StartStopStep, Step, StepType

__all__ = [
    "Blueprint",
    "ConsumerStep",
    "StartStopStep",
    "Step",
    "StepType",
]
