"""What every test of a transport stands on: one fresh store, and connections to it that are closed afterwards."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest

from umbel.model import Delivery, Message, Publication, Queue, Settlement
from umbel.spi import Consumer, Transport, TransportCapabilities
from umbel.testing.capabilities import skip_undeclared
from umbel.testing.plugins import make_app, make_transport
from umbel.testing.processes import ChildProcess

__all__ = ["PUBLISH_TIMEOUT_S", "SOON_S", "TransportStage", "bodies"]

PUBLISH_TIMEOUT_S = 10.0
#: How long a test waits for what must come; far above what it should take.
SOON_S = 10.0


def bodies(deliveries: Sequence[Delivery]) -> list[bytes]:
    """Return the bodies of *deliveries*, in order."""
    return [delivery.message.body for delivery in deliveries]


class TransportStage:
    """The author's fixture and hooks, and what the tests use. See ``TransportContract``."""

    #: How many seconds after its time a delayed message, or the answer to ``wake()``, may come on a busy machine.
    lateness_s: float = 1.0
    #: How many seconds after the death of its owner's process a message must be free again.
    lease_expiry_s: float = 15.0

    url: str
    app: Any
    capabilities: TransportCapabilities

    # -- what an author gives -----------------------------------------------------------------------------------------

    @pytest.fixture
    def transport_url(self) -> str:
        """The URL of a fresh, empty store. The one fixture that must be given."""
        pytest.fail(f"{type(self).__name__} must give a fixture 'transport_url': the URL of a fresh, empty store")

    def make_app(self) -> Any:
        """Return the app that the transport is made for; ``None`` means a plain ``Umbel``. May be overridden."""
        return None

    def inject_garbage(self, queue: str, data: bytes) -> None:
        """Put *data* into the store as if it were a message of *queue*, past the transport. May be overridden."""
        raise NotImplementedError

    def cut_connection(self, transport: Transport) -> None:
        """Cut the connection of *transport*, as a failing network would. May be overridden."""
        raise NotImplementedError

    def slow_store(self) -> AbstractContextManager[None]:
        """Return a context in which the store takes requests and does not answer for 30 s. May be overridden."""
        raise NotImplementedError

    def unreachable_url(self) -> str:
        """Return a URL with a password ``s3cret`` behind which no store answers. May be overridden."""
        raise NotImplementedError

    # -- what the tests use -------------------------------------------------------------------------------------------

    @pytest.fixture(autouse=True)
    def _on_stage(self, request: pytest.FixtureRequest, transport_url: str) -> Iterator[None]:
        self.url = transport_url
        self.app = self.make_app() or make_app(broker=self.url)
        self._token = secrets.token_hex(3)
        with ExitStack() as self._closing:
            self.transport = self.connect()
            self.capabilities = self.transport.capabilities
            name = type(self.transport).__name__
            skip_undeclared(request.function, self.capabilities, name, self, TransportStage)
            yield

    def connect(self) -> Transport:
        """Return another connection to the store, opened."""
        transport = make_transport(self.url, self.app)
        self._closing.callback(transport.close)
        return transport

    def child(self) -> ChildProcess:
        """Return another process at the store, ready."""
        child = ChildProcess("transport", self.url)
        self._closing.callback(child.close)
        child.call("ready")
        return child

    def name(self, name: str = "work") -> str:
        """Return *name* made unique, for stores that cannot be emptied between tests."""
        return f"{name}-{self._token}"

    def queue(self, name: str = "work", **options: Any) -> Queue:
        """Return the queue *name* (made unique), declared."""
        queue = Queue(name=self.name(name), **options)
        self.transport.declare([queue])
        return queue

    def consumer(self, *queues: Queue, transport: Transport | None = None, prefetch: int = 0) -> Consumer:
        """Return a consumer of *queues*, on the test's own connection unless *transport* is given."""
        connection = transport or self.transport
        consumer = connection.consume(queues, prefetch, f"worker@{os.getpid()}")
        self._closing.callback(consumer.close)
        return consumer

    @staticmethod
    def publication(queue: Queue, body: bytes, **options: Any) -> Publication:
        """Return *body* on its way to *queue*."""
        options.setdefault("exchange", queue.exchange.name)
        options.setdefault("routing_key", queue.routing_key)
        return Publication(Message(body), queue, **options)

    def publish(self, queue: Queue, *payloads: bytes, transport: Transport | None = None, **options: Any) -> None:
        """Publish *payloads* to *queue* in one call."""
        publications = [self.publication(queue, payload, **options) for payload in payloads]
        (transport or self.transport).publish(publications, PUBLISH_TIMEOUT_S)

    @staticmethod
    def receive(consumer: Consumer, count: int, timeout_s: float = SOON_S) -> list[Delivery]:
        """Receive exactly *count* messages; a shortage after *timeout_s* without any fails the test."""
        got: list[Delivery] = []
        while len(got) < count:
            batch = consumer.receive(count - len(got), timeout_s)
            assert batch, f"expected {count} messages, got {len(got)} and then none for {timeout_s} s"
            got.extend(batch)
        return got

    def drain(self, consumer: Consumer, limit: int = 100, idle_s: float = 0.3) -> list[bytes]:
        """Receive and acknowledge until nothing comes for *idle_s*; return the bodies."""
        got: list[bytes] = []
        while batch := consumer.receive(limit, idle_s):
            consumer.settle(Settlement(acks=batch))
            got.extend(bodies(batch))
        return got
