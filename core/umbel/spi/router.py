"""The contract of a router: which queue a call goes to."""

from __future__ import annotations

from typing import Any, Protocol

from umbel.model import Route, RouteQuery

__all__ = ["Router"]


class Router(Protocol):
    """Answers the hook ``umbel_route``. Called on the sending thread for each call, so it must be quick and thread-safe."""

    def __call__(self, app: Any, query: RouteQuery) -> Route | None:
        """Return where *query* goes, or ``None`` to leave it to the next router."""
        ...
