"""Celery's pytest fixtures: ``pytest_plugins = ("celery.contrib.pytest",)``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from umbel_extension_celery.testing.applications import TestApp, setup_default_app
from umbel_extension_celery.testing.workers import start_worker

__all__ = [
    "celery_app",
    "celery_class_tasks",
    "celery_config",
    "celery_enable_logging",
    "celery_includes",
    "celery_parameters",
    "celery_session_app",
    "celery_session_worker",
    "celery_worker",
    "celery_worker_parameters",
    "celery_worker_pool",
    "depends_on_current_app",
    "pytest_configure",
    "use_celery_app_trap",
]


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    config.addinivalue_line("markers", "celery(**overrides): settings of the application that celery_app makes")


@contextlib.contextmanager
def _application(
    enable_logging: bool, use_trap: bool, parameters: Mapping[str, Any], config: Mapping[str, Any], **options: Any
) -> Iterator[Any]:
    app = TestApp(set_as_current=False, enable_logging=enable_logging, config=config, **{**parameters, **options})
    with setup_default_app(app, use_trap=use_trap):
        try:
            yield app
        finally:
            app.close()


@pytest.fixture(scope="session")
def use_celery_app_trap() -> bool:
    """Whether the current application is refused to those who ask for none. To be overridden."""
    return False


@pytest.fixture(scope="session")
def celery_enable_logging() -> bool:
    """Whether workers set up logging. To be overridden."""
    return False


@pytest.fixture(scope="session")
def celery_includes() -> Sequence[str]:
    """Modules with tasks. To be overridden."""
    return ()


@pytest.fixture(scope="session")
def celery_worker_pool() -> str:
    """The worker's pool. To be overridden."""
    return "solo"


@pytest.fixture(scope="session")
def celery_config() -> Mapping[str, Any]:
    """Settings of the application. To be overridden."""
    return {}


@pytest.fixture(scope="session")
def celery_parameters() -> Mapping[str, Any]:
    """Arguments of the application's constructor. To be overridden."""
    return {}


@pytest.fixture(scope="session")
def celery_worker_parameters() -> Mapping[str, Any]:
    """Arguments of the worker. To be overridden."""
    return {}


@pytest.fixture(scope="session")
def celery_class_tasks() -> Sequence[Any]:
    """Task classes to register. To be overridden."""
    return ()


@pytest.fixture(scope="session")
def celery_session_app(
    celery_config: Mapping[str, Any],
    celery_parameters: Mapping[str, Any],
    celery_enable_logging: bool,
    use_celery_app_trap: bool,
) -> Iterator[Any]:
    """An application for the whole run."""
    with _application(celery_enable_logging, use_celery_app_trap, celery_parameters, celery_config) as app:
        yield app


@pytest.fixture(scope="session")
def celery_session_worker(
    celery_session_app: Any,
    celery_includes: Sequence[str],
    celery_class_tasks: Sequence[Any],
    celery_worker_pool: str,
    celery_worker_parameters: Mapping[str, Any],
) -> Iterator[Any]:
    """A worker for the whole run."""
    for module in celery_includes:
        celery_session_app.loader.import_task_module(module)
    for task in celery_class_tasks:
        celery_session_app.register_task(task)
    with start_worker(celery_session_app, pool=celery_worker_pool, **celery_worker_parameters) as worker:
        yield worker


@pytest.fixture
def celery_app(
    request: pytest.FixtureRequest,
    celery_config: Mapping[str, Any],
    celery_parameters: Mapping[str, Any],
    celery_enable_logging: bool,
    use_celery_app_trap: bool,
) -> Iterator[Any]:
    """An application for one test; ``@pytest.mark.celery(setting=value)`` changes its settings."""
    config = dict(celery_config)
    for marker in reversed(list(request.node.iter_markers("celery"))):
        config.update(marker.kwargs)
    with _application(celery_enable_logging, use_celery_app_trap, celery_parameters, config) as app:
        yield app


@pytest.fixture
def celery_worker(
    celery_app: Any,
    celery_includes: Sequence[str],
    celery_worker_pool: str,
    celery_worker_parameters: Mapping[str, Any],
) -> Iterator[Any]:
    """A worker of ``celery_app`` for one test."""
    for module in celery_includes:
        celery_app.loader.import_task_module(module)
    with start_worker(celery_app, pool=celery_worker_pool, **celery_worker_parameters) as worker:
        yield worker


@pytest.fixture
def depends_on_current_app(celery_app: Any) -> None:
    """Make ``celery_app`` the current application of the test."""
    celery_app.set_current()
