"""Fixtures for the tests of programs that use Umbel; pytest finds them once umbel is installed.

``umbel_app`` is an application over a broker and a result store in this process's memory, its own for each test.
``umbel_worker`` is a real worker beside it, so that ``task.delay(...).get(timeout=5)`` runs as it does in production.
The fixtures ``umbel_config``, ``umbel_parameters``, ``umbel_includes``, ``umbel_worker_parameters`` and
``umbel_worker_pool`` are there to be overridden; the marker ``@pytest.mark.umbel(setting=value)`` changes settings of
one test. See ``docs/how-to/test-your-tasks.md``.

pytest imports this module in every project beside which umbel is installed, so it imports nothing that costs.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from umbel import Umbel
    from umbel.worker import Worker

__all__ = [
    "pytest_configure",
    "umbel_app",
    "umbel_config",
    "umbel_includes",
    "umbel_parameters",
    "umbel_session_app",
    "umbel_session_worker",
    "umbel_worker",
    "umbel_worker_parameters",
    "umbel_worker_pool",
]


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    config.addinivalue_line("markers", "umbel(**settings): settings of the application that umbel_app makes")


@contextmanager
def _make_app(config: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[Umbel]:
    # Deferred for start-up cost: most test runs of most projects never get here.
    from umbel import Umbel
    from umbel.current import current_app, has_current_app, set_current

    # A space of its own, gone with the application.
    url = f"memory://pytest-{secrets.token_hex(6)}"
    options: dict[str, Any] = {"broker": url, "backend": url, "set_as_current": False, **parameters}
    app = Umbel(options.pop("main", "pytest"), **options)
    app.conf.update(dict(config))
    before = current_app() if has_current_app() else None
    set_current(app)
    try:
        yield app
    finally:
        set_current(before)
        app.close()


@contextmanager
def _start_worker(app: Umbel, pool: str, includes: Sequence[str], parameters: Mapping[str, Any]) -> Iterator[Worker]:
    from umbel.worker import Worker  # the same

    # A task that a test has left running does not hold up the others for ever.
    options: dict[str, Any] = {"pool": pool, "concurrency": 2, "shutdown_timeout_s": 10.0, **parameters}
    with Worker(app, include=includes, **options) as worker:
        yield worker


@pytest.fixture(scope="session")
def umbel_config() -> Mapping[str, Any]:
    """Settings of the application, such as ``{"task_serializer": "pickle"}``. To be overridden."""
    return {}


@pytest.fixture(scope="session")
def umbel_parameters() -> Mapping[str, Any]:
    """Arguments of ``Umbel(...)``, such as ``{"task_cls": MyTask}``. To be overridden."""
    return {}


@pytest.fixture(scope="session")
def umbel_includes() -> Sequence[str]:
    """Modules with tasks that the worker imports. To be overridden."""
    return ()


@pytest.fixture(scope="session")
def umbel_worker_parameters() -> Mapping[str, Any]:
    """Arguments of ``Worker(app, ...)``, such as ``{"queues": ["mail"], "concurrency": 1}``. To be overridden."""
    return {}


@pytest.fixture(scope="session")
def umbel_worker_pool() -> str:
    """The worker's pool: ``threads``, ``solo`` or ``asyncio``, since other processes do not see this one's memory."""
    return "threads"


@pytest.fixture
def umbel_app(
    request: pytest.FixtureRequest, umbel_config: Mapping[str, Any], umbel_parameters: Mapping[str, Any]
) -> Iterator[Umbel]:
    """An application over memory, new for each test, and current while the test runs."""
    marked = [marker.kwargs for marker in request.node.iter_markers("umbel")]
    settings = dict(umbel_config)
    for kwargs in reversed(marked):  # the closest one wins
        settings.update(kwargs)
    with _make_app(settings, umbel_parameters) as app:
        yield app


@pytest.fixture(scope="session")
def umbel_session_app(umbel_config: Mapping[str, Any], umbel_parameters: Mapping[str, Any]) -> Iterator[Umbel]:
    """Like ``umbel_app``, one for the whole run."""
    with _make_app(umbel_config, umbel_parameters) as app:
        yield app


@pytest.fixture
def umbel_worker(
    umbel_app: Umbel,
    umbel_includes: Sequence[str],
    umbel_worker_pool: str,
    umbel_worker_parameters: Mapping[str, Any],
) -> Iterator[Worker]:
    """A real worker of ``umbel_app`` in threads of this process: ready when the test starts, stopped after it."""
    with _start_worker(umbel_app, umbel_worker_pool, umbel_includes, umbel_worker_parameters) as worker:
        yield worker


@pytest.fixture(scope="session")
def umbel_session_worker(
    umbel_session_app: Umbel,
    umbel_includes: Sequence[str],
    umbel_worker_pool: str,
    umbel_worker_parameters: Mapping[str, Any],
) -> Iterator[Worker]:
    """Like ``umbel_worker``, one for the whole run, over ``umbel_session_app``."""
    with _start_worker(umbel_session_app, umbel_worker_pool, umbel_includes, umbel_worker_parameters) as worker:
        yield worker
