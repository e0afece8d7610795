"""Beat."""

from __future__ import annotations

from umbel.beat import BeatLazyFunc, Service
from umbel_extension_celery.beat_classes import PersistentScheduler, ScheduleEntry, Scheduler, SchedulingError

EmbeddedService = Service
#: Not among the public names, and used by schedulers all the same.
DEFAULT_MAX_INTERVAL = 300

__all__ = [
    "BeatLazyFunc",
    "EmbeddedService",
    "PersistentScheduler",
    "ScheduleEntry",
    "Scheduler",
    "SchedulingError",
    "Service",
]
