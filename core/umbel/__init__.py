"""Umbel: a distributed task queue in which every part is a plugin.

::

    from umbel import Umbel

    app = Umbel("tasks")

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

Importing it imports no plugin and no driver; they are loaded when the configuration names them and they are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from umbel.app import Umbel
from umbel.canvas import Signature, chain, chord, group, maybe_signature, signature
from umbel.context import Context, current_task
from umbel.current import current_app, use_app
from umbel.exceptions import (
    Ignore,
    MaxRetriesExceededError,
    OperationalError,
    Reject,
    Retry,
    SoftTimeLimitExceeded,
    TaskRevokedError,
    TimeoutError,
    UmbelError,
)
from umbel.results import AsyncResult, GroupResult, ResultSet, allow_join_result, as_completed
from umbel.shared import shared_task
from umbel.task import Task

if TYPE_CHECKING:
    from umbel.model import Exchange, Queue

__version__ = "0.1.0"

__all__ = [
    "AsyncResult",
    "Context",
    "Exchange",
    "GroupResult",
    "Ignore",
    "MaxRetriesExceededError",
    "OperationalError",
    "Queue",
    "Reject",
    "ResultSet",
    "Retry",
    "Signature",
    "SoftTimeLimitExceeded",
    "Task",
    "TaskRevokedError",
    "TimeoutError",
    "Umbel",
    "UmbelError",
    "__version__",
    "allow_join_result",
    "as_completed",
    "chain",
    "chord",
    "current_app",
    "current_task",
    "group",
    "install_as_celery",
    "maybe_signature",
    "shared_task",
    "signature",
    "use_app",
]


def install_as_celery() -> None:
    """Let ``import celery`` mean Umbel, from now on in this process: call it at the top of a Celery project.

    The project's code and its third-party packages need no change; Celery's defaults apply (``docs/how-to/
    move-from-celery.md``). Calling it again does nothing. Raises :class:`ImproperlyConfigured` when the real Celery was
    imported before, and :class:`PluginError` when the extension is not installed.
    """
    from umbel.host import Host  # brings pluggy and stevedore, which only this needs

    Host().load("extension", "celery").module.install()


def __getattr__(name: str) -> object:
    """Import the models when they are asked for: attrs is most of what importing Umbel would cost."""
    if name in {"Exchange", "Queue"}:
        from umbel import model  # see above

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
