"""``app.amqp``: queues and routes under Celery's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["AMQP"]


class _Router:
    """Answers where a call goes, in Celery's form."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def route(
        self, options: Mapping[str, Any], name: str, args: Any = (), kwargs: Any = None, task_type: Any = None
    ) -> Any:
        """Return *options* with the ``queue``, ``exchange`` and ``routing_key`` of a call of the task *name*."""
        destination = self._app.router.route(name, tuple(args), dict(kwargs or {}), dict(options))
        found = {"exchange": destination.exchange, "routing_key": destination.routing_key}
        return {**options, **({"queue": destination.queue} if destination.queue is not None else found)}


class AMQP:
    """The queues of an application."""

    def __init__(self, app: Any) -> None:
        self.app = app

    @property
    def queues(self) -> Any:
        """The known queues, a mapping by name."""
        return self.app.queues

    @property
    def default_queue(self) -> Any:
        """The queue of tasks that nothing routes."""
        return self.app.queues.default

    @property
    def router(self) -> _Router:
        """Answers where calls go."""
        return _Router(self.app)

    @property
    def routes(self) -> Any:
        """What ``task_routes`` says."""
        return self.app.conf.task_routes
