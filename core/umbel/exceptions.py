"""Every error that Umbel raises, in a few families.

An error keeps its data as attributes beside its text, so that logs and callers need not parse the sentence. On the wire
the framework's errors carry Celery's module names (``umbel.protocol.exceptions`` maps them), so that a foreign client can
rebuild them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

__all__ = [
    "AlreadyRegistered",
    "BackendError",
    "BackendGetMetaError",
    "BackendStoreError",
    "ChordError",
    "ContentDisallowed",
    "DecodeError",
    "DuplicateNodenameWarning",
    "EncodeError",
    "Ignore",
    "ImproperlyConfigured",
    "IncompleteStream",
    "InvalidControlMessage",
    "InvalidTaskError",
    "MaxRetriesExceededError",
    "NotRegistered",
    "OperationalError",
    "PluginConflict",
    "PluginError",
    "PluginNotFound",
    "QueueNotFound",
    "Reject",
    "RemoteError",
    "Retry",
    "SecurityError",
    "SignatureError",
    "SoftTimeLimitExceeded",
    "TaskError",
    "TaskPredicate",
    "TaskRevokedError",
    "Terminated",
    "TimeLimitExceeded",
    "TimeoutError",
    "TransportError",
    "UmbelError",
    "WorkerLostError",
    "WorkerShutdown",
    "WorkerTerminate",
    "WorkflowLostError",
]


class UmbelError(Exception):
    """The root of every error that Umbel raises."""


class ImproperlyConfigured(UmbelError):
    """Raised when a setting is unknown, of the wrong type, or impossible beside another one."""


class SecurityError(UmbelError):
    """Raised when a security check refuses a message or a set-up."""


# -- plugins ----------------------------------------------------------------------------------------------------------


class PluginError(ImproperlyConfigured):
    """Raised when a plugin cannot be used: of another API version, without its driver, or broken at import."""


class PluginNotFound(PluginError):
    """Raised when no installed plugin has the name that was asked for."""


class PluginConflict(PluginError):
    """Raised when two distributions offer a plugin of one kind under one name."""


# -- transports and stores --------------------------------------------------------------------------------------------


class TransportError(UmbelError):
    """Raised when a broker answered, but not as its contract says."""


class OperationalError(TransportError):
    """Raised when the broker cannot be reached, or the connection to it is lost, within the deadline."""


class BackendError(UmbelError):
    """Raised when the result store cannot do what was asked."""


class BackendGetMetaError(BackendError):
    """Raised when a result cannot be read from the store."""

    def __init__(self, *args: Any, task_id: str = "") -> None:
        super().__init__(*args)
        self.task_id = task_id


class BackendStoreError(BackendError):
    """Raised when a result cannot be written to the store."""

    def __init__(self, *args: Any, task_id: str = "", state: str = "") -> None:
        super().__init__(*args)
        self.task_id = task_id
        self.state = state


# -- payloads ---------------------------------------------------------------------------------------------------------


class EncodeError(UmbelError):
    """Raised when arguments or a result cannot be serialized."""


class DecodeError(UmbelError):
    """Raised when bytes are not what their content type says."""


class SignatureError(DecodeError, SecurityError, ValueError):
    """Raised when a message is not signed, not by somebody who is trusted, or not as it was when it was signed."""


class ContentDisallowed(DecodeError, SecurityError):
    """Raised when a message has a content type that ``accept_content`` does not name."""


# -- tasks ------------------------------------------------------------------------------------------------------------


class TaskError(UmbelError):
    """The root of errors about tasks."""


class NotRegistered(TaskError, KeyError):
    """Raised when no task of this name is known here."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class AlreadyRegistered(TaskError):
    """Raised when two different functions claim one task name."""


class QueueNotFound(TaskError, KeyError):
    """Raised when a task is routed to a queue that is not defined and may not be created."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class IncompleteStream(TaskError):
    """Raised when the end of a stream of results arrives before all of it."""


class DuplicateNodenameWarning(UserWarning):
    """More than one worker answers to one name."""


class InvalidControlMessage(UmbelError):
    """A message of remote control is not what it should be."""


class InvalidTaskError(TaskError):
    """Raised when a message is not a task message, or lacks a required field."""


class MaxRetriesExceededError(TaskError):
    """Raised when a task was retried as often as it may be."""

    def __init__(self, *args: Any, task_args: Sequence[Any] = (), task_kwargs: dict[str, Any] | None = None) -> None:
        super().__init__(*args)
        self.task_args = task_args
        self.task_kwargs = task_kwargs or {}


class TaskRevokedError(TaskError):
    """Raised by ``get()`` when the task was revoked, expired or terminated: it has no result."""


class ChordError(TaskError):
    """Raised by the body of a chord when a member of its header did not succeed."""


class WorkflowLostError(TaskError):
    """Raised by the end of a workflow whose definition, kept in the result store, is not there (any more)."""


class RemoteError(TaskError):
    """Stands in for an exception of a class that this process cannot import.

    The class is made on the fly under the remote class's own name, so that ``type(exc).__name__`` and the arguments
    are those of the original.
    """


class TimeoutError(TaskError, OSError):  # Celery's name; an OSError is what the builtin of this name is
    """Raised when a result did not arrive in time."""


class TimeLimitExceeded(UmbelError):
    """Raised when a task ran longer than its hard time limit and its process was killed. Its argument: seconds."""

    def __str__(self) -> str:
        if len(self.args) == 1 and isinstance(self.args[0], int | float):
            return f"the task ran longer than its hard time limit of {self.args[0]:g} s, and its process was killed"
        return super().__str__()


class SoftTimeLimitExceeded(UmbelError):
    """Raised inside a task when its soft time limit is over; the task may catch it to clean up."""

    def __str__(self) -> str:
        return f"SoftTimeLimitExceeded{self.args}"


class WorkerLostError(UmbelError):
    """Raised when the process that ran a task ended before the task did."""


class Terminated(UmbelError):
    """Raised when a task was terminated by remote control."""


# -- what a task says by raising --------------------------------------------------------------------------------------


class TaskPredicate(UmbelError):
    """The root of signals that a task raises to its worker; they are not failures."""


class Retry(TaskPredicate):
    """Raised by ``task.retry()``: the task will run again, and the code after it is not reached."""

    def __init__(
        self,
        message: str | None = None,
        exc: BaseException | str | None = None,
        when: float | dt.datetime | None = None,
        is_eager: bool = False,
        sig: Any = None,
    ) -> None:
        self.message = message
        self.exc: BaseException | None = None if isinstance(exc, str) else exc
        self.excs: str | None = exc if isinstance(exc, str) else (repr(exc) if exc is not None else None)
        self.when = when
        self.is_eager = is_eager
        self.sig = sig
        super().__init__(message, exc, when)

    def humanize(self) -> str:
        """Say when: ``in 3.0s`` or ``at 2026-01-02 03:04:05``."""
        if isinstance(self.when, int | float):
            return f"in {self.when}s"
        return f"at {self.when}"

    def __str__(self) -> str:
        if self.message:
            return self.message
        return f"Retry {self.humanize()}: {self.excs}" if self.excs else f"Retry {self.humanize()}"


class Ignore(TaskPredicate):
    """Raised by a task that sets its state itself, or wants none stored."""


class Reject(TaskPredicate):
    """Raised by a task to refuse its message: dropped to the dead-letter queue, or back to the queue."""

    def __init__(self, reason: Any = None, requeue: bool = False) -> None:
        self.reason = reason
        self.requeue = requeue
        super().__init__(reason, requeue)

    def __repr__(self) -> str:
        return f"reject requeue={self.requeue}: {self.reason}"


# -- shutdown ---------------------------------------------------------------------------------------------------------


class WorkerTerminate(SystemExit):
    """Raised in the worker to stop at once (cold shutdown)."""


class WorkerShutdown(SystemExit):
    """Raised in the worker to finish what runs and stop (warm shutdown)."""
