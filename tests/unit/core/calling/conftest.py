from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from umbel import Umbel
from umbel.model import Delivery, Publication, Settlement
from umbel.spi import Transport


@pytest.fixture
def sent(umbel_app: Umbel) -> Callable[..., list[Delivery]]:
    """Take what waits in a queue, acknowledged."""

    def take(queue: str = "celery") -> list[Delivery]:
        with_transport = umbel_app.open_transport()
        consumer = with_transport.consume([umbel_app.queues.find(queue)], 0, "test")
        found: list[Delivery] = []
        try:
            while more := consumer.receive(100, 0.0):
                found.extend(more)
                consumer.settle(Settlement(acks=more))
        finally:
            consumer.close()
            with_transport.close()
        return found

    return take


class RecordingTransport(Transport):
    """A transport to nowhere: it keeps what it is given, and fails as often as it is told to."""

    def __init__(self, failures: list[BaseException] | None = None) -> None:
        self.failures = failures if failures is not None else []
        self.published: list[Sequence[Publication]] = []
        self.declared: list[str] = []
        self.timeouts: list[float] = []
        self.closed = False

    def open(self, timeout_s: float) -> None:
        """Be there."""

    def close(self) -> None:
        self.closed = True

    def declare(self, queues: Any) -> None:
        self.declared += [queue.name for queue in queues]

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> None:
        self.timeouts.append(timeout_s)
        if self.failures:
            raise self.failures.pop(0)
        self.published.append(publications)

    def consume(self, queues: Any, prefetch: int, name: str) -> Any:
        raise NotImplementedError

    def count(self, queues: Any) -> Sequence[int]:
        return [0 for _ in queues]

    def purge(self, queue: str) -> int:
        return 0

    def delete(self, queue: str) -> None:
        """Nothing is there."""


@pytest.fixture
def transport_to_nowhere() -> type[RecordingTransport]:
    return RecordingTransport
