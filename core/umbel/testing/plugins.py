"""Makes the parts of an installed plugin from a URL, the way the suites and their child processes need it."""

from __future__ import annotations

import secrets
from typing import Any

from umbel import Umbel
from umbel.host import Host
from umbel.spi import ResultBackend, Transport

__all__ = ["OPEN_TIMEOUT_S", "fresh_url", "make_app", "make_backend", "make_transport"]

#: How long a store may take to open in the suites.
OPEN_TIMEOUT_S = 10.0

_host = Host()


def fresh_url(template: str, folder: str) -> str:
    """Return the URL of a fresh store: ``{folder}`` in *template* becomes *folder*, ``{unique}`` a fresh word."""
    return template.replace("{folder}", folder).replace("{unique}", secrets.token_hex(8))


def make_app(*, broker: str | None = None, backend: str | None = None) -> Any:
    """Return an app without settings but the broker's or the backend's URL."""
    return Umbel("conformance", broker=broker, backend=backend, set_as_current=False)


def make_transport(url: str, app: Any = None) -> Transport:
    """Return the transport of *url*, opened."""
    transport = _host.transport(app or make_app(broker=url), url)
    transport.open(OPEN_TIMEOUT_S)
    return transport


def make_backend(url: str, app: Any = None) -> ResultBackend:
    """Return the result backend of *url*, opened."""
    backend = _host.backend(app or make_app(backend=url), url)
    backend.open(OPEN_TIMEOUT_S)
    return backend
