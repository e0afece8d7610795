"""PostgreSQL killed under load, and workers killed at every point of a task's way: nothing is lost."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import Any

import pytest

import umbel_backend_postgres
import umbel_transport_postgres
from umbel.exceptions import BackendError, OperationalError
from umbel.model import Message, Publication, Queue, Settlement, TaskMeta
from umbel.states import SUCCESS
from umbel.testing.servers import PostgresServer
from umbel.testing.threads import in_thread

Q = Queue(name="q")
OUTAGES = (OperationalError, BackendError)


def retrying(work: Any, until: threading.Event) -> None:
    """Do *work* (which opens what it needs) again and again while the server is away."""
    while not until.is_set():
        try:
            work()
            return
        except OUTAGES:
            until.wait(0.05)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_postgres_killed_under_load_loses_nothing_that_it_took(tmp_path: Any) -> None:
    # [B991]
    with PostgresServer(tmp_path / "pg", fsync=True) as server:
        accepted: list[bytes] = []
        done: Counter[bytes] = Counter()
        over, published = threading.Event(), threading.Event()
        numbers = iter(range(10**9))

        def publish() -> None:
            transport = umbel_transport_postgres.umbel_transport(None, server.url)
            transport.open(2.0)
            try:
                while not published.is_set():
                    batch = [b"%d" % next(numbers) for _ in range(random.randint(1, 20))]
                    transport.publish([Publication(Message(body), Q, "", "q") for body in batch], 2.0)
                    accepted.extend(batch)
                    published.wait(0.005)
            finally:
                transport.close()

        def consume() -> None:
            backend = umbel_backend_postgres.umbel_backend(None, server.url)
            transport = umbel_transport_postgres.umbel_transport(None, server.url)
            consumer = None
            try:
                backend.open(2.0)
                transport.open(2.0)
                consumer = transport.consume([Q], 0, "w")
                while not over.is_set():
                    held = consumer.receive(50, 0.2)
                    if held:
                        with backend.transaction() as transaction:
                            transport.write_jointly(transaction, [], Settlement(acks=held))
                            metas = [TaskMeta(one.message.body.decode(), SUCCESS, b"{}") for one in held]
                            backend.store_jointly(transaction, metas, [])
                        done.update(one.message.body for one in held)
            finally:
                if consumer is not None:
                    consumer.close()
                transport.close()
                backend.close()

        running = [in_thread(retrying, publish, published), in_thread(retrying, consume, over)]
        running.append(in_thread(retrying, consume, over))
        late: list[float] = []
        for _ in range(5):
            assert not over.wait(random.uniform(0.3, 1.5))
            server.kill()
            server.start()
            returned, count = time.monotonic(), len(accepted)
            while len(accepted) == count and time.monotonic() < returned + 10:
                time.sleep(0.01)
            late.append(time.monotonic() - returned)
        published.set()
        deadline = time.monotonic() + 40
        backend = umbel_backend_postgres.umbel_backend(None, server.url)
        left = [body.decode() for body in accepted]
        while left and time.monotonic() < deadline:
            found = backend.load(left)
            left = [body for body, meta in zip(left, found, strict=True) if meta is None]
            time.sleep(0.1)
        over.set()
        for one in running:
            one.result(20)
        backend.close()
        assert left == [], f"lost {len(left)} of {len(accepted)}"
        assert max(late) < 5
        # One transaction: what was done was never handed out again.
        assert max(done.values()) == 1
