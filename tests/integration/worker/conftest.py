from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from umbel import Umbel
from umbel.model import Delivery, Message, Publication, Queue, Settlement

DEADLINE_S = 20.0


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for a condition that no signal tells of; fails after a deadline."""

    def wait(condition: Callable[[], Any], what: str = "the condition") -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come true within {DEADLINE_S} s"
            time.sleep(0.005)

    return wait


class Broker:
    """What a test does to the broker directly."""

    def __init__(self, app: Umbel) -> None:
        self.app = app

    def publish(self, body: bytes, headers: dict[str, Any], queue: str = "celery", **fields: Any) -> None:
        message = Message(body, headers, {"correlation_id": str(headers.get("id"))}, **fields)
        with contextlib.closing(self.app.open_transport()) as transport:
            transport.declare([Queue(name=queue)])
            transport.publish([Publication(message, Queue(name=queue), "", queue)], 5.0)

    def count(self, queue: str = "celery") -> int:
        with contextlib.closing(self.app.open_transport()) as transport:
            return transport.count([queue])[0]

    def take(self, queue: str = "celery", limit: int = 100) -> Sequence[Delivery]:
        """Take and acknowledge what waits in *queue*."""
        with contextlib.closing(self.app.open_transport()) as transport:
            transport.declare([Queue(name=queue)])
            with contextlib.closing(transport.consume([Queue(name=queue)], 0, "test")) as consumer:
                found = list(consumer.receive(limit, 1.0))
                consumer.settle(Settlement(acks=found))
                return found

    def parked(self, queue: str = "celery") -> Sequence[Delivery]:
        return self.take(f"{queue}.parked")


@pytest.fixture
def broker(umbel_app: Umbel) -> Broker:
    return Broker(umbel_app)
