"""The application that calls without one of their own use, and the shared tasks that wait for an application.

Nothing here makes an application: asking for the current one before there is any is an error that says so. An
application becomes current when it is made (``Umbel(...)``, unless ``set_as_current=False``); the last one made stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from umbel.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = [
    "Application",
    "add_shared_task",
    "current_app",
    "has_current_app",
    "set_current",
    "set_default_maker",
    "shared_tasks",
    "use_app",
]


class Application:
    """Marks what counts as an application where one is looked for (``-A module``); :class:`umbel.Umbel` is one."""


class _Process:
    """What this process knows of: its current application and its shared tasks."""

    def __init__(self) -> None:
        self.app: Umbel | None = None
        self.shared: list[Callable[[Umbel], Any]] = []
        self.make_default: Callable[[], Umbel] | None = None


_process = _Process()
_override: ContextVar[Umbel | None] = ContextVar("umbel_current_app", default=None)


def set_current(app: Umbel | None) -> None:
    """Make *app* the current application of this process (``None``: there is none any more)."""
    _process.app = app


def current_app() -> Umbel:
    """Return the current application; :class:`~umbel.exceptions.ImproperlyConfigured` when none was made yet."""
    app = _override.get() or _process.app
    if app is None and _process.make_default is not None:
        app = _process.app = _process.make_default()
    if app is None:
        raise ImproperlyConfigured(
            "expected an application, got none: make one with app = Umbel('name') (in a module that is imported "
            "before this call), or pass app=... here"
        )
    return app


def set_default_maker(make: Callable[[], Umbel] | None) -> None:
    """Have *make* called where an application is asked for and there is none: for programs written for Celery."""
    _process.make_default = make


def has_current_app() -> bool:
    """Whether :func:`current_app` has an answer."""
    return (_override.get() or _process.app) is not None


@contextmanager
def use_app(app: Umbel) -> Iterator[Umbel]:
    """Make *app* the current application inside the ``with`` block, in this thread or coroutine only."""
    token = _override.set(app)
    try:
        yield app
    finally:
        _override.reset(token)


def add_shared_task(register: Callable[[Umbel], Any]) -> None:
    """Have *register* called with every application that is finalized from now on."""
    _process.shared.append(register)


def shared_tasks() -> tuple[Callable[[Umbel], Any], ...]:
    """Return what :func:`add_shared_task` was given, in order."""
    return tuple(_process.shared)
