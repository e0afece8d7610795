"""One connection of kombu with its one channel, its errors turned into ours, its waits bounded."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import kombu.connection
import kombu.transport

from umbel.exceptions import ImproperlyConfigured, OperationalError, PluginError, TransportError, UmbelError
from umbel.urls import MASK, mask_url
from umbel_transport_kombu.bounded import Bounded
from umbel_transport_kombu.quirks import adapt, leave, probe, rest
from umbel_transport_kombu.settings import KombuSettings
from umbel_transport_kombu.variants import Variant

__all__ = ["Link", "transport_class"]

_Result = TypeVar("_Result")


def transport_class(variant: Variant) -> Any:
    """Import kombu's transport; a missing driver, or class, is an error with the cure."""
    try:
        found = kombu.transport.get_transport_cls(variant.alias)
    except ImportError as error:
        raise _missing(variant, error) from error
    except (KeyError, AttributeError, ValueError) as error:
        raise ImproperlyConfigured(
            f"expected the name of a kombu transport or its class, 'package.module:Class', got {variant.alias!r}: "
            f"{error.args[0] if error.args else error}"
        ) from error
    if not (isinstance(found, type) and hasattr(found, "establish_connection")):
        raise ImproperlyConfigured(f"expected {variant.alias!r} to be a class of kombu's transports, got {found!r}")
    return found


def _missing(variant: Variant, error: ImportError) -> PluginError:
    return PluginError(f"the kombu transport {variant.alias!r} needs a driver: {error}; pip install '{variant.cure}'")


class Link:
    """A connection, opened at once. Used by one thread; works in another, so that every wait has an end."""

    def __init__(self, variant: Variant, url: str, settings: KombuSettings, timeout_s: float) -> None:
        self._variant = variant
        self._masked = mask_url(url)
        self._secret = unquote(urlsplit(url.rpartition("+")[2]).password or "")
        self._worker = Bounded(f"umbel-kombu-{threading.get_native_id()}")
        self._channel: Any = None
        self.connection: Any = None
        self.is_usable = True
        try:
            self.run("connect to", lambda _: self._open(url, settings, timeout_s), timeout_s)
        except BaseException:
            self.close()
            raise

    def _open(self, url: str, settings: KombuSettings, timeout_s: float) -> None:
        options = {"wait_time_seconds": 1, **settings.transport_options, "polling_interval": settings.polling_interval}
        if self._variant.alias == "sqlalchemy":  # which hands its options on to create_engine
            del options["wait_time_seconds"], options["polling_interval"]
        named: dict[str, Any] = {}
        if url.startswith("kombu://"):
            named["transport"] = transport_class(self._variant)
        connect: Any = kombu.connection.Connection
        self.connection = connect(
            url,
            ssl=settings.ssl or False,
            login_method=settings.login_method,
            connect_timeout=timeout_s,
            transport_options=options,
            **named,
        )
        adapt(self.connection.transport)
        self.connection.connect()
        self._channel = self.connection.channel()
        probe(self._channel)

    def run(self, doing: str, work: Callable[[Any], _Result], timeout_s: float) -> _Result:
        """Return ``work(channel)``. Whatever fails, the connection is given up: ``OperationalError``."""
        if not self.is_usable:
            raise OperationalError(f"the connection to {self._masked} is lost: open another one")
        try:
            return self._worker.call(lambda: self._work(work), timeout_s)
        except TransportError:
            raise
        except UmbelError:
            self.is_usable = False
            raise
        except ImportError as error:  # some look for their driver when they connect
            self.is_usable = False
            raise _missing(self._variant, error) from error
        except Exception as error:  # drivers have errors of their own without end
            self.is_usable = False
            raise OperationalError(f"cannot {doing} {self._masked}: {self._shown(error)}") from error

    def _work(self, work: Callable[[Any], _Result]) -> _Result:
        result = work(self._channel)
        if self._channel is not None:
            rest(self._channel)
        return result

    def _shown(self, error: Exception) -> str:
        text = next(iter(str(error).splitlines()), "") or type(error).__name__
        return text.replace(self._secret, MASK) if self._secret else text

    def close(self) -> None:
        """Disconnect, without waiting for a broker that does not answer. May be called twice."""
        self.is_usable = False
        if not self._worker.is_stuck:
            with contextlib.suppress(Exception):  # it is over in any case
                self._worker.call(self._leave, 5.0)
        self._worker.close()

    def _leave(self) -> None:
        connection, channel = self.connection, self._channel
        self.connection = self._channel = None
        if channel is not None:
            leave(channel)
        if connection is not None:
            connection.close()
