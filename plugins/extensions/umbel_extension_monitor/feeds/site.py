"""All that a monitor knows and does, bound together."""

from __future__ import annotations

from typing import Any, Self

import attrs

from umbel_extension_monitor.feeds.listening import Listening
from umbel_extension_monitor.feeds.orders import Orders
from umbel_extension_monitor.feeds.surveying import Surveying
from umbel_extension_monitor.picture.cluster import Cluster

__all__ = ["Site"]


@attrs.frozen(kw_only=True)
class Site:
    """One application's cluster, its feeds, and the means to act on it."""

    name: str
    broker: str
    cluster: Cluster
    listening: Listening
    surveying: Surveying
    orders: Orders

    @classmethod
    def of(cls, app: Any, keep: int = 10_000) -> Self:
        """Make what is needed to watch the workers of *app*; *keep* tasks are remembered. Nothing is started."""
        cluster = Cluster(keep)
        return cls(
            name=str(app.main or "umbel"),
            broker=app.connections.broker_label,
            cluster=cluster,
            listening=Listening(app, cluster),
            surveying=Surveying(app),
            orders=Orders(app),
        )

    def stop(self) -> None:
        """Let the feeds end. Any thread."""
        self.listening.stop()
        self.surveying.stop()
