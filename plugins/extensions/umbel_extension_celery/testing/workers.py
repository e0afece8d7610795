"""Workers for tests: in threads of the test's own process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from umbel.results import allow_join_result
from umbel.worker import Worker
from umbel_extension_celery.testing.ping import ping

__all__ = ["TestWorkController", "setup_app_for_worker", "start_worker"]

TestWorkController = Worker


def setup_app_for_worker(app: Any, loglevel: Any = None, logfile: str | None = None) -> None:
    """Make *app* ready for a worker in this process."""
    app.finalize()


@contextlib.contextmanager
def start_worker(
    app: Any,
    concurrency: int = 1,
    pool: str = "solo",
    loglevel: Any = "error",
    logfile: str | None = None,
    perform_ping_check: bool = True,
    ping_task_timeout: float = 10.0,
    shutdown_timeout: float = 10.0,
    **kwargs: Any,
) -> Iterator[Worker]:
    """Run a worker of *app* in threads while the block runs.

    With *perform_ping_check* the block begins when the task ``celery.ping`` was run: import
    ``celery.contrib.testing.tasks`` for it, as with Celery. Raises ``RuntimeError`` where the application lacks it.
    """
    for name in ("without_gossip", "without_mingle", "without_heartbeat", "ready_callback", "on_consumer_ready"):
        kwargs.pop(name, None)
    setup_app_for_worker(app, loglevel, logfile)
    with Worker(app, pool=pool, concurrency=concurrency, shutdown_timeout_s=shutdown_timeout, **kwargs) as worker:
        if perform_ping_check:
            if ping.name not in app.tasks:
                raise RuntimeError("the application has no task celery.ping: import celery.contrib.testing.tasks first")
            with allow_join_result():
                answer = app.tasks[ping.name].delay().get(timeout=ping_task_timeout)
            if answer != "pong":
                raise RuntimeError(f"expected the worker to answer 'pong', got {answer!r}")
        yield worker
