"""The router ``demo``: a queue for each package of tasks, to be replaced by your rule."""

from __future__ import annotations

from typing import Any

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo, Route, RouteQuery

__all__ = ["plugin_info", "umbel_route"]

plugin_info = PluginInfo(kind="router", names=("demo",), summary="a queue for each package of tasks")


@hookimpl
def umbel_route(app: Any, query: RouteQuery) -> Route | None:
    """Send ``media.images.resize`` to the queue ``media``; leave a task without a package to the next router."""
    package, dot, _ = query.name.partition(".")
    return Route(queue=package) if dot else None
