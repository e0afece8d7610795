"""Applications for tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from umbel.current import has_current_app, set_current
from umbel_extension_celery.application import Celery
from umbel_extension_celery.current import get_current_app

__all__ = ["DEFAULT_TEST_CONFIG", "TestApp", "Trap", "UnitLogging", "set_trap", "setup_default_app"]

#: What an application of a test has unless the test says otherwise.
DEFAULT_TEST_CONFIG: Final[Mapping[str, Any]] = {
    "worker_hijack_root_logger": False,
    "worker_log_color": False,
    "accept_content": ("json",),
    "enable_utc": True,
    "timezone": "UTC",
    "broker_url": "memory://",
    "result_backend": "cache+memory://",
    "broker_heartbeat": 0,
}


class Trap:
    """Stands where the current application would be, and refuses every use: a test must name its own."""

    def __getattr__(self, name: str) -> Any:
        if name in ("_is_coroutine", "__func__"):
            raise AttributeError(name)
        raise RuntimeError("Test depends on current_app")


class UnitLogging:
    """Leaves logging to the test."""

    already_setup = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.already_setup = True


def TestApp(  # noqa: N802 - Celery's name
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    enable_logging: bool = False,
    set_as_current: bool = False,
    log: Any = UnitLogging,
    backend: Any = None,
    broker: Any = None,
    **kwargs: Any,
) -> Celery:
    """Return an application over the memory of this process; *config* are settings."""
    settings = {**DEFAULT_TEST_CONFIG, **dict(config or {})}
    if broker is not None:
        settings["broker_url"] = broker
    if backend is not None:
        settings["result_backend"] = backend
    app = Celery(name or "celery.tests", set_as_current=set_as_current, **kwargs)
    app.conf.update(settings)
    return app


@contextlib.contextmanager
def set_trap(app: Any) -> Iterator[None]:
    """Refuse the use of the current application in this block."""
    before = get_current_app() if has_current_app() else None
    trap: Any = Trap()
    set_current(trap)
    try:
        yield
    finally:
        set_current(before)


@contextlib.contextmanager
def setup_default_app(app: Any, use_trap: bool = False) -> Iterator[None]:
    """Make *app* the current application in this block; with *use_trap* refuse it to those who ask for none."""
    before = get_current_app() if has_current_app() else None
    set_current(app)
    trap = set_trap(app) if use_trap else contextlib.nullcontext()
    try:
        with trap:
            yield
    finally:
        set_current(before)
