"""Events and remote control for callers that hand over kombu's connections: Umbel opens its own beside them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from umbel.control import Control
from umbel.control import Inspect as UmbelInspect
from umbel.events import EventDispatcher as UmbelDispatcher
from umbel.events import EventReceiver as UmbelReceiver
from umbel.events.facade import Events
from umbel.spi import Transport
from umbel_extension_celery.current import app_or_default

__all__ = ["CeleryControl", "CeleryEvents", "EventDispatcher", "EventReceiver", "Inspect"]


def _ours(connection: Any) -> Transport | None:
    return connection if isinstance(connection, Transport) else None


class EventReceiver(UmbelReceiver):
    """Listens to events; *channel* may be a connection of kombu's, beside which Umbel's own is opened."""

    def __init__(
        self,
        channel: Any = None,
        handlers: Any = None,
        routing_key: str = "#",
        node_id: str | None = None,
        app: Any = None,
        **kwargs: Any,
    ) -> None:
        chosen = app or self.app or app_or_default()
        super().__init__(_ours(channel), handlers, routing_key, node_id, chosen, **kwargs)


class EventDispatcher(UmbelDispatcher):
    """Sends events; *connection* may be one of kombu's."""

    def __init__(
        self,
        connection: Any = None,
        hostname: str | None = None,
        enabled: bool = True,
        channel: Any = None,
        buffer_while_offline: bool = True,
        app: Any = None,
        **kwargs: Any,
    ) -> None:
        chosen = app or self.app or app_or_default()
        super().__init__(_ours(connection), hostname, enabled, None, buffer_while_offline, chosen, **kwargs)


class CeleryEvents(Events):
    """``app.events`` of a Celery application."""

    @cached_property
    def Receiver(self) -> Any:  # noqa: N802 - Celery's name
        """Listens."""
        return type("EventReceiver", (EventReceiver,), {"app": self.app, "__module__": __name__})

    @cached_property
    def Dispatcher(self) -> Any:  # noqa: N802 - Celery's name
        """Sends."""
        return type("EventDispatcher", (EventDispatcher,), {"app": self.app, "__module__": __name__})


class Inspect(UmbelInspect):
    """Asks workers."""

    def __init__(
        self,
        destination: Any = None,
        timeout: float | None = 1.0,
        callback: Any = None,
        connection: Any = None,
        **more: Any,
    ) -> None:
        super().__init__(destination, timeout, callback, _ours(connection), **more)


class CeleryControl(Control):
    """``app.control`` of a Celery application."""

    @cached_property
    def inspect(self) -> Any:
        """Asks workers what they do; a class bound to this application."""
        return type("Inspect", (Inspect,), {"app": self.app, "__doc__": Inspect.__doc__})

    def broadcast(  # type: ignore[override]
        self, command: str, arguments: Any = None, destination: Any = None, connection: Any = None, **kwargs: Any
    ) -> Any:
        """Send *command* to workers; see :meth:`umbel.control.Control.broadcast`."""
        return super().broadcast(command, arguments, destination, _ours(connection), **kwargs)

    def purge(self, connection: Any = None) -> int:
        """Drop what waits in the application's queues."""
        return super().purge(_ours(connection))

    discard_all = purge
