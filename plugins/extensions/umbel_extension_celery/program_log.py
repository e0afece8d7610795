"""``app.log``: the setting up of logging under Celery's names."""

from __future__ import annotations

import logging
from typing import Any

from umbel import log

__all__ = ["ApplicationLog", "base_logger", "task_logger", "worker_logger"]


class ApplicationLog:
    """Sets up the log of a program that uses *app*."""

    already_setup = False

    def __init__(self, app: Any) -> None:
        self.app = app
        self.loglevel = logging.WARNING
        self.format = app.conf.worker_log_format
        self.task_format = app.conf.worker_task_log_format

    def setup(
        self,
        loglevel: str | int | None = None,
        logfile: str | None = None,
        redirect_stdouts: bool = False,
        redirect_level: str = "WARNING",
        colorize: bool | None = None,
        hostname: str | None = None,
    ) -> bool:
        """Set up the root logger and the tasks' logger; say whether a receiver of ``setup_logging`` did it instead."""
        chosen = self.loglevel if loglevel is None else loglevel
        made = log.Logging(self.app, log.parse_level(chosen), logfile, colorize)
        self.already_setup = True
        return not made.setup(redirect_stdouts, redirect_level)

    def setup_logging_subsystem(
        self,
        loglevel: str | int | None = None,
        logfile: str | None = None,
        format: str | None = None,
        colorize: bool | None = None,
        hostname: str | None = None,
        **_: Any,
    ) -> Any:
        """Set up the loggers; standard output is left alone."""
        return self.setup(loglevel, logfile, redirect_stdouts=False, colorize=colorize)

    def get_default_logger(self, name: str = "celery", **_: Any) -> logging.Logger:
        """Return the logger *name*."""
        return logging.getLogger(name)

    def supports_color(self, colorize: bool | None = None, logfile: str | None = None) -> bool:
        """Say whether lines would be coloured."""
        return log.Logging(self.app, self.loglevel, logfile, colorize).wants_color()


#: The loggers that Celery's programs write to, by their names there.
base_logger = logging.getLogger("celery")
worker_logger = logging.getLogger("celery.worker")
task_logger = logging.getLogger("umbel.task")
