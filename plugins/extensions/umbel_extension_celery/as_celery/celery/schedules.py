"""When something is to run again and again."""

from __future__ import annotations

from umbel.schedules import BaseSchedule, ParseException, crontab, crontab_parser, maybe_schedule, schedstate, schedule
from umbel_extension_celery.solar import solar

__all__ = [
    "BaseSchedule",
    "ParseException",
    "crontab",
    "crontab_parser",
    "maybe_schedule",
    "schedstate",
    "schedule",
    "solar",
]
