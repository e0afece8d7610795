"""``app.events``: the tools of events, bound to an application."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from umbel.events.dispatcher import EventDispatcher
from umbel.events.receiver import EventReceiver
from umbel.events.state import State

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["Events"]


class Events:
    """The classes of :mod:`umbel.events`, made to know their application [B654]."""

    def __init__(self, app: Umbel) -> None:
        self.app = app

    @cached_property
    def Receiver(self) -> type[EventReceiver]:  # noqa: N802 - Celery's name
        """Listens: ``app.events.Receiver(handlers={"*": print}).capture()``."""
        return type("EventReceiver", (EventReceiver,), {"app": self.app, "__module__": __name__})

    @cached_property
    def Dispatcher(self) -> type[EventDispatcher]:  # noqa: N802
        """Sends: ``app.events.Dispatcher(hostname="me").send("custom-event", field=1)``."""
        return type("EventDispatcher", (EventDispatcher,), {"app": self.app, "__module__": __name__})

    #: Makes sense of what is heard: ``state = app.events.State()``, ``handlers={"*": state.event}``.
    State = State

    @contextlib.contextmanager
    def default_dispatcher(
        self, hostname: str | None = None, enabled: bool = True, buffer_while_offline: bool = False
    ) -> Iterator[EventDispatcher]:
        """Give a dispatcher that uses one of the application's pooled connections [B165]."""
        if not enabled:
            yield self.Dispatcher(None, hostname, enabled=False)
            return
        with self.app.publisher.borrowed() as transport:
            yield self.Dispatcher(transport, hostname, buffer_while_offline=buffer_while_offline)
