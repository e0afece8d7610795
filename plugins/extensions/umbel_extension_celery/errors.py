"""Celery's exceptions and warnings: Umbel's own where it has them."""

from __future__ import annotations

from typing import Any, NoReturn

import click

from umbel.exceptions import (
    AlreadyRegistered,
    BackendError,
    BackendGetMetaError,
    BackendStoreError,
    ChordError,
    ContentDisallowed,
    DecodeError,
    EncodeError,
    Ignore,
    ImproperlyConfigured,
    IncompleteStream,
    InvalidTaskError,
    MaxRetriesExceededError,
    NotRegistered,
    OperationalError,
    QueueNotFound,
    Reject,
    Retry,
    SecurityError,
    SoftTimeLimitExceeded,
    TaskError,
    TaskPredicate,
    TaskRevokedError,
    Terminated,
    TimeLimitExceeded,
    TimeoutError,
    UmbelError,
    WorkerLostError,
    WorkerShutdown,
    WorkerTerminate,
)

__all__ = [
    "AlreadyRegistered",
    "AlwaysEagerIgnored",
    "BackendError",
    "BackendGetMetaError",
    "BackendStoreError",
    "CDeprecationWarning",
    "CPendingDeprecationWarning",
    "CeleryCommandException",
    "CeleryError",
    "CeleryWarning",
    "ChordError",
    "ContentDisallowed",
    "DecodeError",
    "DuplicateNodenameWarning",
    "DuplicateTaskNameWarning",
    "EncodeError",
    "FixupWarning",
    "Ignore",
    "ImproperlyConfigured",
    "IncompleteStream",
    "InvalidTaskError",
    "MaxRetriesExceededError",
    "NotConfigured",
    "NotRegistered",
    "OperationalError",
    "QueueNotFound",
    "Reject",
    "Retry",
    "SecurityError",
    "SecurityWarning",
    "SoftTimeLimitExceeded",
    "TaskError",
    "TaskPredicate",
    "TaskRevokedError",
    "Terminated",
    "TimeLimitExceeded",
    "TimeoutError",
    "WorkerLostError",
    "WorkerShutdown",
    "WorkerTerminate",
    "reraise",
]

#: The base of every error of the queue's own.
CeleryError = UmbelError


class CeleryWarning(UserWarning):
    """The base of warnings."""


class AlwaysEagerIgnored(CeleryWarning):
    """A task was sent although ``task_always_eager`` is on."""


class DuplicateNodenameWarning(CeleryWarning):
    """Two workers have one name."""


class DuplicateTaskNameWarning(CeleryWarning):
    """Two tasks have one name."""


class FixupWarning(CeleryWarning):
    """A framework could not be adapted to."""


class NotConfigured(CeleryWarning):
    """There is no configuration module."""


class SecurityWarning(CeleryWarning):
    """Something is less safe than it could be."""


class CPendingDeprecationWarning(PendingDeprecationWarning):
    """What will be deprecated."""


class CDeprecationWarning(DeprecationWarning):
    """What is deprecated."""


class CeleryCommandException(click.ClickException):
    """Ends a command with *exit_code*."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


def reraise(tp: Any, value: BaseException, tb: Any = None) -> NoReturn:
    """Raise *value* with the traceback *tb*."""
    raise value.with_traceback(tb) if tb is not None and value.__traceback__ is not tb else value
