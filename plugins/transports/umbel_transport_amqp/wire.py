"""One connection and its channels to RabbitMQ, with the driver's errors turned into ours."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from ssl import CERT_NONE
from typing import Any, Final

from amqp.exceptions import AccessRefused, AMQPError, InternalError, NotAllowed, NotFound, PreconditionFailed
from kombu.exceptions import KombuError

from umbel.exceptions import OperationalError, TransportError
from umbel.urls import mask_url, parse_url, split_urls
from umbel_transport_amqp.connection import AmqpConnection
from umbel_transport_amqp.settings import AmqpSettings

__all__ = ["FAILURES", "Wire"]

FAILURES: Final = (AMQPError, KombuError, OSError)
_LEAVE_TIMEOUT_S: Final = 1.0


def _addresses(url: str, strategy: str | Callable[[list[str]], Iterable[str]] | None) -> list[str]:
    """Return the URLs to try, in order."""
    urls = split_urls(url)
    if strategy == "shuffle":
        random.shuffle(urls)
    elif callable(strategy):  # Celery's own kind: an endless iterator over the URLs
        urls = list(itertools.islice(strategy(urls), len(urls)))
    return urls


def _options(url: str, settings: AmqpSettings) -> dict[str, Any]:
    """Return py-amqp's options for one URL."""
    parsed = parse_url(url)
    ssl = settings.ssl if settings.ssl is not None else parsed.name == "amqps"
    host = parsed.hostname or "127.0.0.1"
    if ssl:
        ssl = dict(ssl) if isinstance(ssl, dict) else {}
        # Who does not want the certificate checked cannot have the name in it checked.
        if "context" not in ssl and ssl.get("cert_reqs") != CERT_NONE:
            ssl["server_hostname"] = ssl.get("server_hostname") or host
    port = parsed.port or (5671 if ssl else 5672)
    return {
        "host": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "userid": parsed.username or "guest",
        "password": parsed.password if parsed.password is not None else "guest",
        "virtual_host": parsed.virtual_host or "/",
        "ssl": ssl,
        **({"login_method": settings.login_method} if settings.login_method else {}),
        **settings.driver_options(),
    }


class Wire:
    """A connection made at once, to the first of its URLs that answers. Used by one thread."""

    def __init__(self, url: str, settings: AmqpSettings, timeout_s: float, *, heartbeat_s: float = 0) -> None:
        self.masked = mask_url(url)
        self.heartbeat_s = heartbeat_s
        self._settings = settings
        self._channel: Any = None
        self._control: Any = None
        self.amqp = self._connect(_addresses(url, settings.failover_strategy), time.monotonic() + timeout_s)

    def _connect(self, urls: Sequence[str], deadline: float) -> AmqpConnection:
        for index, url in enumerate(urls):
            # A host that swallows packets gets its share of the time, and no more.
            share_s = max(0.05, (deadline - time.monotonic()) / (len(urls) - index))
            connection = AmqpConnection(
                answer_timeout_s=self._settings.answer_timeout_s,
                connect_timeout=share_s,
                heartbeat=self.heartbeat_s,
                **_options(url, self._settings),
            )
            connection.deadline = time.monotonic() + share_s
            try:
                connection.connect()
            except FAILURES as error:
                connection.collect()
                if index + 1 == len(urls):
                    raise self.translated(error, "connect to") from error
            except (TypeError, ValueError) as error:
                if connection.transport is not None and connection.transport.sock is not None:
                    connection.transport.sock.close()  # it is half of TLS, which the driver cannot close
                raise TransportError(
                    f"expected options of py-amqp in broker_use_ssl and broker_transport_options, got: {error}"
                ) from error
            else:
                connection.deadline = None
                return connection
        raise OperationalError(f"expected the URL of a RabbitMQ, got {self.masked!r}")

    @property
    def is_usable(self) -> bool:
        """Whether the connection lives, as far as it is known."""
        return bool(self.amqp.connected)

    @property
    def server_version(self) -> tuple[int, ...]:
        """The version of the RabbitMQ; empty where it does not say."""
        text = str(self.amqp.server_properties.get("version", ""))
        return tuple(int(part) for part in text.partition("-")[0].split(".") if part.isdigit())

    @property
    def channel(self) -> Any:
        """The channel for messages."""
        if self._channel is None:
            self._channel = self.amqp.channel()
        return self._channel

    @property
    def control(self) -> Any:
        """The channel for declarations and questions, which the broker closes to say no."""
        if self._control is None:
            self._control = self.amqp.channel()
        return self._control

    @contextlib.contextmanager
    def within(self, deadline: float) -> Iterator[None]:
        """Bound everything inside by *deadline* (``time.monotonic()``)."""
        before, self.amqp.deadline = self.amqp.deadline, deadline
        try:
            yield
        finally:
            self.amqp.deadline = before

    @contextlib.contextmanager
    def guarded(self, doing: str) -> Iterator[None]:
        """Turn the driver's errors into ``OperationalError``. Whatever the fault, the connection is given up."""
        try:
            yield
        except FAILURES as error:
            # After a refusal py-amqp opens the channel again by itself, without its mode and consumers: never use it.
            self.drop()
            translated = self.translated(error, doing)
            raise OperationalError(str(translated)) from error

    @contextlib.contextmanager
    def asking(self, doing: str) -> Iterator[Any]:
        """Lend the control channel; a refusal costs that channel alone, a failure the connection."""
        try:
            yield self.control
        except (NotFound, PreconditionFailed, AccessRefused) as error:
            stale, self._control = self._control, None
            if stale is not None:
                with contextlib.suppress(*FAILURES):
                    stale.close()
            raise self.translated(error, doing) from error
        except FAILURES as error:
            self.drop()
            raise self.translated(error, doing) from error

    def translated(self, error: BaseException, doing: str) -> TransportError:
        """Return our error for the driver's."""
        text = str(error) or type(error).__name__
        if isinstance(error, AccessRefused | NotAllowed):
            return OperationalError(
                f"RabbitMQ at {self.masked} refused access: {text}; check user, password, virtual host and permissions"
            )
        if isinstance(error, InternalError) and "deprecated" in text:
            return TransportError(
                f"RabbitMQ at {self.masked} no longer lets programs {doing} it: {text}; make the queue durable or exclusive"
            )
        if isinstance(error, PreconditionFailed | NotFound):
            return TransportError(f"RabbitMQ at {self.masked} refused to {doing}: {text}")
        return OperationalError(f"cannot {doing} RabbitMQ at {self.masked}: {text}")

    def beat(self) -> None:
        """Send a heartbeat when one is due; raises when the broker has been silent for too long."""
        if self.heartbeat_s:
            with self.guarded("keep the connection to"):
                self.amqp.heartbeat_tick(rate=2)

    def drop(self) -> None:
        """Hang up at once, without a word to a broker that may not listen."""
        self._channel = self._control = None
        self.amqp.collect()

    def close(self) -> None:
        """Disconnect, whatever state it is in."""
        self._channel = self._control = None
        self.amqp.leave(_LEAVE_TIMEOUT_S)
