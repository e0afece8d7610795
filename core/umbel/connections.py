"""What an application holds open in this process: pooled transports, result backends, and its reply address.

A forked child starts with nothing: what its parent had open is set aside unclosed (closing a connection that two
processes share would end the parent's too) and opened anew on first use.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from umbel.calling.ids import new_id
from umbel.calling.transports import TransportPool, close_quietly
from umbel.context import top_frame
from umbel.exceptions import OperationalError

if TYPE_CHECKING:
    from umbel.host import Host
    from umbel.settings import Configuration
    from umbel.spi import ResultBackend, Transport

__all__ = ["Connections"]

#: Where calls go when no broker is configured: the SQLite file of this user and application.
EMBEDDED_URL: Final = "sqlite://"
DISABLED_URL: Final = "disabled://"


class _Opened:
    """The connections of one process."""

    def __init__(self, pid: int, transports: TransportPool) -> None:
        self.pid = pid
        self.oid = new_id()
        self.transports = transports
        self.backends: dict[str, ResultBackend] = {}
        self.reply_to: str | None = None
        self.lock = threading.Lock()


class Connections:
    """Opens, keeps and closes an application's connections. Thread-safe, fork-safe."""

    def __init__(self, app: Any, conf: Configuration) -> None:
        self._app = app
        self._conf = conf
        self._inherited: list[_Opened] = []
        self._opened = self._nothing_opened()

    # -- addresses ------------------------------------------------------------------------------------------------

    @property
    def broker_urls(self) -> tuple[str, ...]:
        """The URLs to publish to, tried in this order."""
        conf = self._conf
        return _urls(conf.broker_write_url) or _urls(conf.broker_url) or (EMBEDDED_URL,)

    @property
    def broker_read_urls(self) -> tuple[str, ...]:
        """The URLs to consume from, tried in this order."""
        conf = self._conf
        return _urls(conf.broker_read_url) or _urls(conf.broker_url) or (EMBEDDED_URL,)

    @property
    def broker_label(self) -> str:
        """The broker's address for people: no password in it."""
        from umbel.urls import mask_url  # for start-up: it needs urllib, and only errors and people ask for labels

        return ";".join(mask_url(url) for url in self.broker_urls)

    @property
    def backend_url(self) -> str:
        """The result backend's URL: the embedded store's when neither broker nor backend is configured."""
        conf = self._conf
        if conf.result_backend:
            return _backend_url(conf.result_backend)
        configured = conf.broker_url or conf.broker_write_url or conf.broker_read_url
        return DISABLED_URL if configured else EMBEDDED_URL

    # -- transports -----------------------------------------------------------------------------------------------

    @property
    def transports(self) -> TransportPool:
        """The pool of this process."""
        return self._here().transports

    def open_transport(self, timeout_s: float, urls: Sequence[str] = ()) -> Transport:
        """Return a new, open transport to the first of *urls* (the broker's) that answers within *timeout_s* each.

        Raises :class:`~umbel.exceptions.OperationalError` of the last one when none does.
        """
        host: Host = self._app.host
        failure: OperationalError | None = None
        for url in urls or self.broker_urls:
            transport = host.transport(self._app, url)
            try:
                transport.open(timeout_s)
            except OperationalError as error:
                close_quietly(transport)
                failure = error
            else:
                return transport
        raise failure or OperationalError("expected a broker URL, got none: set broker_url")

    def _open_pooled(self, left_s: float) -> Transport:
        transport = self.open_transport(min(left_s, float(self._conf.broker_connection_timeout)))
        if top_frame() is None:  # what a task sends must be as safe as the task itself, which is acknowledged after it
            transport.allow_unconfirmed()
        return transport

    # -- results --------------------------------------------------------------------------------------------------

    def backend(self, url: str | None = None) -> ResultBackend:
        """Return the open backend of *url* (the application's own for ``None``), one for each process."""
        opened = self._here()
        url = self.backend_url if url is None else _backend_url(url)
        found = opened.backends.get(url)
        if found is not None:
            return found
        with opened.lock:
            if url not in opened.backends:
                backend = self._app.host.backend(self._app, url)
                backend.open(float(self._conf.broker_connection_timeout))
                opened.backends[url] = backend
            return opened.backends[url]

    @property
    def oid(self) -> str:
        """The id of this application in this process."""
        return self._here().oid

    @property
    def reply_to(self) -> str:
        """The address that calls carry: the backend's where it sends results to their caller, else the ``oid``."""
        opened = self._here()
        if opened.reply_to is None:
            backend: ResultBackend = self._app.host.backend(self._app, self.backend_url)
            # A store that keeps results needs no address; only one that sends them is opened before the first call.
            opened.reply_to = (self.backend().reply_to if backend.capabilities.reads_once else None) or opened.oid
        return opened.reply_to

    # -- life -----------------------------------------------------------------------------------------------------

    def after_fork(self) -> None:
        """Set aside what the parent process had open."""
        self._inherited.append(self._opened)
        self._opened = self._nothing_opened()

    def close(self) -> None:
        """Close what this process has open; the next use opens anew."""
        if self._opened.pid != os.getpid():
            self.after_fork()
        opened, self._opened = self._opened, self._nothing_opened()
        opened.transports.close()
        for backend in opened.backends.values():
            backend.close()

    def _nothing_opened(self) -> _Opened:
        return _Opened(os.getpid(), TransportPool(self._open_pooled, self._conf.broker_pool_limit))

    def _here(self) -> _Opened:
        if self._opened.pid != os.getpid():
            self.after_fork()
        return self._opened


def _urls(value: str | Sequence[str] | None) -> tuple[str, ...]:
    if not value:
        return ()
    return tuple(url for url in value.split(";") if url) if isinstance(value, str) else tuple(value)


def _backend_url(url: str) -> str:
    return url if ":" in url else f"{url}://"
