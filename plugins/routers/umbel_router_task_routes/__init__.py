"""Routes calls by the setting ``task_routes``.

It holds a dict of task name -> route, or a list of such dicts, ``(pattern, route)`` pairs, functions, objects with a
method ``route_for_task``, and dotted names of any of them; the first that answers wins. In a dict a name may be a glob
(``feed.tasks.*``) or a compiled regular expression. A route is a queue's name, or a dict with ``queue``, ``exchange``,
``exchange_type``, ``routing_key`` and any option of ``apply_async``.
"""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo, Route, RouteQuery
from umbel_router_task_routes.table import table_of

__all__ = ["plugin_info", "umbel_route"]

plugin_info = PluginInfo(
    kind="router",
    names=("task_routes",),
    summary="Routes by the setting task_routes: dicts, globs, regular expressions, functions, classes.",
)


@hookimpl
def umbel_route(app: Any, query: RouteQuery) -> Route | None:
    """Return the route that ``task_routes`` has for *query*."""
    routes = app.conf.task_routes
    return table_of(app, routes).route(query) if routes else None
