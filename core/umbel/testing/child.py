"""The program of :class:`umbel.testing.processes.ChildProcess`: works on a store until its input ends or it is killed.

``python -m umbel.testing.child transport URL`` reads lines of JSON, ``[operation, arguments]``, and answers each with a
line ``{"answer": ...}`` or ``{"error": text}``.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence

from umbel.model import ChordPart, Delivery, JoinedChord, Message, Publication, Queue, Settlement, TaskMeta
from umbel.spi import Consumer
from umbel.testing.plugins import make_backend, make_transport

__all__ = ["main"]

_TIMEOUT_S = 10.0


class _TransportChild:
    """Operations on a transport."""

    def __init__(self, url: str) -> None:
        self._transport = make_transport(url)
        self._consumers: dict[str, Consumer] = {}
        self._held: list[Delivery] = []

    def ready(self) -> bool:
        """Answer once the transport is open."""
        return True

    def publish(self, queue: str, bodies: Sequence[str]) -> int:
        """Publish *bodies* to *queue* in one call."""
        target = Queue(name=queue)
        self._transport.declare([target])
        self._transport.publish(
            [
                Publication(Message(body.encode("latin-1")), target, target.exchange.name, target.routing_key)
                for body in bodies
            ],
            _TIMEOUT_S,
        )
        return len(bodies)

    def receive(self, queue: str, limit: int, timeout_s: float) -> list[tuple[str, int]]:
        """Claim from *queue* and hold; return body and delivery count of each."""
        deliveries = self._consumer(queue).receive(limit, timeout_s)
        self._held.extend(deliveries)
        return [(one.message.body.decode("latin-1"), one.delivery_count) for one in deliveries]

    def settle(self, queue: str) -> int:
        """Acknowledge all that is held of *queue*."""
        mine = [one for one in self._held if one.queue == queue]
        self._consumer(queue).settle(Settlement(acks=mine))
        self._held = [one for one in self._held if one.queue != queue]
        return len(mine)

    def drain(self, queue: str, limit: int, idle_s: float) -> list[str]:
        """Claim and acknowledge batches of *limit* until nothing came for *idle_s*; return the bodies."""
        bodies: list[str] = []
        while True:
            batch = self.receive(queue, limit, idle_s)
            if not batch:
                return bodies
            self.settle(queue)
            bodies.extend(body for body, _ in batch)

    def close(self) -> None:
        """Close consumers and transport."""
        for consumer in self._consumers.values():
            consumer.close()
        self._transport.close()

    def _consumer(self, queue: str) -> Consumer:
        if queue not in self._consumers:
            target = Queue(name=queue)
            self._transport.declare([target])
            self._consumers[queue] = self._transport.consume([target], 0, f"child-{os.getpid()}")
        return self._consumers[queue]


class _BackendChild:
    """Operations on a result backend."""

    def __init__(self, url: str) -> None:
        self._backend = make_backend(url)

    def ready(self) -> bool:
        """Answer once the backend is open."""
        return True

    def store(self, metas: Sequence[tuple[str, str, str, int]]) -> int:
        """Store (id, state, payload, attempt) each."""
        self._backend.store([TaskMeta(one, state, text.encode(), attempt=at) for one, state, text, at in metas])
        return len(metas)

    def load(self, ids: Sequence[str]) -> list[tuple[str, str, str] | None]:
        """Return (id, state, payload) of each."""
        found = self._backend.load(ids)
        return [None if meta is None else (meta.task_id, meta.state, meta.payload.decode()) for meta in found]

    def wait(self, ids: Sequence[str], timeout_s: float) -> list[str]:
        """Return the ids that are final."""
        return [meta.task_id for meta in self._backend.wait(ids, timeout_s)]

    def join(self, group: str, members: Sequence[int], size: int) -> list[list[str]]:
        """Join the members one call each; return the parts' payloads of each completed chord."""
        joined: list[JoinedChord] = []
        for index in members:
            part = ChordPart(group, f"{group}-{index}", index, "SUCCESS", str(index).encode(), b"body", size)
            joined.extend(self._backend.join([part]))
        return [[part.payload.decode() for part in chord.parts] for chord in joined]

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()


_KINDS: Mapping[str, Callable[[str], _TransportChild | _BackendChild]] = {
    "transport": _TransportChild,
    "backend": _BackendChild,
}


def main(arguments: Sequence[str]) -> int:
    """Serve the parent test; *arguments* are the kind and the URL."""
    # Answers have a descriptor of their own: what a plugin prints must not get between them.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    child = _KINDS[arguments[0]](arguments[1])
    for line in sys.stdin:
        operation, named = json.loads(line)
        try:
            document = {"answer": getattr(child, operation)(**named)}
        except Exception:  # told to the parent, whose test fails with it
            document = {"error": traceback.format_exc()}
        answers.write(json.dumps(document) + "\n")
        answers.flush()
    child.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
