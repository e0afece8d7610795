"""What is said of a task's end: log lines, the report for events, the traceback without the worker's own frames."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from umbel.context import Context
from umbel.einfo import ExceptionInfo
from umbel.protocol.exceptions import traceback_text
from umbel.protocol.reprs import saferepr
from umbel.worker.plans import TaskPlan

__all__ = ["einfo_of", "guard", "log_failure", "make_report", "text_of"]


def log_failure(plan: TaskPlan, request: Context, error: BaseException, einfo: ExceptionInfo) -> None:
    """Write the line of a failed task: with its traceback, or briefly when the task's ``throws`` names the error."""
    if isinstance(error, plan.throws):
        plan.logger.info("Task %s[%s] raised expected: %s", request.task, request.id, saferepr(error, 1000))
    else:
        text = saferepr(error, 1000)
        plan.logger.error("Task %s[%s] raised unexpected: %s\n%s", request.task, request.id, text, einfo.traceback)


def make_report(
    plan: TaskPlan, runtime_s: float | None, value: Any, einfo: ExceptionInfo | None
) -> tuple[Any, ...] | None:
    """Return what events tell of an end: run time, text of the value, traceback, process id, start (Unix seconds).

    Without a run time nobody wants to hear of it.
    """
    if runtime_s is None:
        return None
    text = "None" if value is None else saferepr(value, plan.resultrepr_maxsize)
    return (
        runtime_s,
        text,
        None if einfo is None else einfo.traceback,
        os.getpid(),
        time.time() - runtime_s,
    )


def einfo_of(error: BaseException, kind: type[ExceptionInfo]) -> ExceptionInfo:
    """Return the error with its traceback, the frames of the worker itself left out, as *kind*."""
    tb = error.__traceback__
    while tb is not None and str(tb.tb_frame.f_globals.get("__name__", "")).startswith("umbel.worker."):
        tb = tb.tb_next
    if tb is not None:
        error.__traceback__ = tb
    return kind(error, traceback_text(error))


def text_of(error: BaseException) -> str:
    """Return ``str(error)``, whatever it does."""
    try:
        return str(error)
    except Exception:
        return saferepr(error)


def guard(plan: TaskPlan, what: str, handler: Callable[..., Any], *args: Any) -> None:
    """Call a handler of the user's; what it raises is logged and changes nothing [B1008]."""
    try:
        handler(*args)
    except Exception:
        plan.logger.exception("%s of task %s raised; the task's outcome stands", what, plan.name)
