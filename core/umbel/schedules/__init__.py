"""When something is to run again and again: intervals and crontabs. The names are Celery's (B594-B602)."""

from __future__ import annotations

from umbel.schedules.cron_fields import ParseException, crontab_parser
from umbel.schedules.crontabs import crontab
from umbel.schedules.intervals import BaseSchedule, maybe_schedule, schedstate, schedule

__all__ = [
    "BaseSchedule",
    "ParseException",
    "crontab",
    "crontab_parser",
    "maybe_schedule",
    "schedstate",
    "schedule",
]
