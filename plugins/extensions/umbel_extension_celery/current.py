"""The application that a Celery project means when it names none: one is made where Celery would make one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from umbel.context import current_task as running_task
from umbel.current import current_app as umbel_current_app
from umbel.current import set_current
from umbel_extension_celery.proxies import Proxy

__all__ = [
    "app_or_default",
    "connect_on_app_finalize",
    "current_app",
    "current_task",
    "get_current_app",
    "get_current_task",
    "get_current_worker_task",
    "set_default_app",
    "task_join_will_block",
]


def get_current_app() -> Any:
    """Return the current application; a program that has made none gets Celery's default one."""
    return umbel_current_app()


def app_or_default(app: Any = None) -> Any:
    """Return *app*, or the current one for ``None``."""
    return get_current_app() if app is None else app


def set_default_app(app: Any) -> None:
    """Make *app* the one that is current while no other is."""
    set_current(app)


def get_current_task() -> Any:
    """Return the task that runs in this thread or coroutine, or ``None``."""
    return running_task()


def get_current_worker_task() -> Any:
    """Return the running task that a worker started, not one that it calls as a function; ``None`` without any."""
    task = running_task()
    return task if task is not None and not task.request.called_directly else None


def task_join_will_block() -> bool:
    """Say whether waiting for a result here would block a task's worker."""
    from umbel.results.joining import assert_may_wait  # results cost start-up time

    try:
        assert_may_wait()
    except RuntimeError:
        return True
    return False


def connect_on_app_finalize(callback: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Call *callback* with every application that is finalized from now on."""
    from umbel.current import add_shared_task  # beside its only use

    add_shared_task(callback)
    return callback


current_app: Any = Proxy(get_current_app)
current_task: Any = Proxy(get_current_task)
