"""The connections of an application, as it shows them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from umbel.app_configuration import ConfiguredApplication
from umbel.clock import LamportClock
from umbel.connections import Connections
from umbel.signals import Signal

if TYPE_CHECKING:
    from umbel.control import Control
    from umbel.spi import ResultBackend, Transport

__all__ = ["ConnectedApplication"]


class ConnectedApplication(ConfiguredApplication):
    """An application that knows its broker and its result store. Nothing is connected before it is used."""

    def __init__(
        self, broker: str | Sequence[str] | None, backend: str | None, include: Sequence[str], settings: dict[str, Any]
    ) -> None:
        super().__init__(broker, backend, include, settings)
        self.connections = Connections(self, self.conf)
        self.on_after_fork = Signal("app.on_after_fork")
        #: The logical clock that control messages and events carry.
        self.clock = LamportClock()

    @cached_property
    def control(self) -> Control:
        """Commands to workers, and questions: ``app.control.inspect().active()``."""
        from umbel.control import Control  # brings the contracts and models: only who controls pays for them

        return Control(cast("Any", self))

    @property
    def broker_url(self) -> str:
        """The first broker URL, the default resolved."""
        return self.connections.broker_urls[0]

    @property
    def backend_url(self) -> str:
        """The result backend's URL, the default resolved."""
        return self.connections.backend_url

    @property
    def backend(self) -> ResultBackend:
        """The result backend of this process, opened on first use.

        Umbel itself asks :meth:`backend_for`: a subclass may give this attribute another shape for its users.
        """
        return self.connections.backend()

    def backend_for(self, url: str | None) -> ResultBackend:
        """Return the backend of a task's own URL (the application's for ``None``), opened once in each process."""
        return self.connections.backend(url)

    @property
    def reply_to(self) -> str:
        """The address that calls carry for their results."""
        return self.connections.reply_to

    @property
    def oid(self) -> str:
        """The id of this application in this process."""
        return self.connections.oid

    def open_transport(self, timeout_s: float | None = None) -> Transport:
        """Return a new, open transport to consume and publish with; the caller closes it."""
        timeout = float(self.conf.broker_connection_timeout) if timeout_s is None else timeout_s
        return self.connections.open_transport(timeout, self.connections.broker_read_urls)

    def after_fork(self) -> None:
        """Set aside, unclosed, the connections that a child process inherited."""
        self.connections.after_fork()
        self.on_after_fork.send(sender=self)

    def close(self) -> None:
        """Close what this process has open; the next use opens it anew. The application is current no more."""
        self.connections.close()
