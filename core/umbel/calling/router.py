"""Where a call goes: its options, then the routers, then the task's attributes, then the defaults (B1074, A386)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from umbel.model import Queue, Route, RouteQuery

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.task import Task

__all__ = ["CallRouter", "Destination"]

#: How many places are remembered.
_REMEMBERED: Final = 1000


@attrs.frozen
class Destination:
    """Where a message is published: *queue* for transports without exchanges, *exchange* and *routing_key* for others."""

    queue: Queue | None
    exchange: str
    routing_key: str


class CallRouter:
    """Answers where each call goes. Thread-safe; what depends on names alone is remembered."""

    def __init__(self, app: Umbel, routers: Sequence[Callable[[Any, RouteQuery], Route | None]]) -> None:
        self._app = app
        self._routers = tuple(routers)
        self._destinations: dict[tuple[Any, ...], Destination] = {}

    def route(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
        task: Task[..., Any] | None = None,
    ) -> tuple[Destination, Mapping[str, Any]]:
        """Return where the call goes, and *options* with what the route adds; *options* stands over the route.

        A place (queue or exchange) of a higher rank replaces a lower one as a whole; a routing key alone keeps the
        lower rank's exchange. Raises :class:`~umbel.exceptions.QueueNotFound`.
        """
        return self.way(self.ask(name, args, kwargs, options, task), options, task)

    def ask(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
        task: Task[..., Any] | None,
    ) -> Route | None:
        """Return what the routers say of a call; the first answer wins."""
        if not self._routers:
            return None
        query = RouteQuery(name, args, kwargs, options, task)
        for router in self._routers:
            route = router(self._app, query)
            if route is not None:
                return route
        return None

    def way(
        self, route: Route | None, options: Mapping[str, Any], task: Task[..., Any] | None
    ) -> tuple[Destination, Mapping[str, Any]]:
        """Return what :meth:`route` does for a call of which the routers said *route*."""
        if route is not None and route.options:
            options = {**route.options, **options}
        queue, exchange, key = options.get("queue"), options.get("exchange"), options.get("routing_key")
        if queue is None and exchange is None:
            if route is not None:
                queue, exchange = route.queue, route.exchange
                key = key or route.routing_key
            if task is not None and queue is None and exchange is None:
                queue, exchange = task.queue, task.exchange
                key = key or task.routing_key
        if exchange is not None and not isinstance(exchange, str):
            exchange = exchange.name
        return self.destination(queue, exchange, key), options

    def destination(self, queue: str | Queue | None, exchange: str | None, routing_key: str | None) -> Destination:
        """Return the destination of a place, from memory where it was asked for before."""
        if isinstance(queue, Queue):
            queue = self._app.queues.add(queue)
            return self._through(queue, exchange, routing_key)
        place = (queue, exchange, routing_key)
        found = self._destinations.get(place)
        if found is None:
            found = self._destinations[place] = self._resolve(queue, exchange, routing_key)
            if len(self._destinations) > _REMEMBERED:  # routing keys made of data must not fill the memory
                self._destinations.clear()
        return found

    def _resolve(self, queue: str | None, exchange: str | None, key: str | None) -> Destination:
        queues = self._app.queues
        if queue is not None:
            return self._through(queues.find(queue), exchange, key)
        if exchange is None and key is None:
            return self._through(queues.default, None, None)
        if exchange is None:
            exchange = self._app.conf.task_default_exchange or queues.default.exchange.name
        if key is None:
            key = self._app.conf.task_default_routing_key or queues.default.routing_key
        return Destination(queues.bound_to(exchange, key), exchange, key)

    def _through(self, queue: Queue, exchange: str | None, key: str | None) -> Destination:
        """Return the way into *queue*: the default exchange where its own is direct and nothing else was asked for."""
        if exchange is None and key is None and queue.exchange.kind == "direct":
            return Destination(queue, "", queue.name)
        return Destination(queue, queue.exchange.name if exchange is None else exchange, key or queue.routing_key)
