"""pgqueuer over PostgreSQL with asyncpg: an event loop in each of two processes, claims of 200.

It keeps no results: *kept* is a task whose end is noted in its log, and a round trip waits for that note.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import sys
from datetime import timedelta

from bench.peers import place

NAME = f"pgqueuer, {place.BROKER}"
SHARE = 1.0
BULK = "enqueue([...])"
NAPS = {"asyncio": "nap"}

BATCH = 200
CHUNK = 1000
SOON = timedelta(seconds=1)
TASKS = {"noop": b"", "kept": b"", "take": place.PAYLOAD.encode(), "nap": b""}


def missing():
    if place.BROKER != "postgres":
        return f"it does not run on {place.BROKER}"
    return place.missing_module("pgqueuer", "asyncpg")


if not missing():
    import asyncpg
    from pgqueuer import PgQueuer, Queries
    from pgqueuer.core.completion import CompletionWatcher
    from pgqueuer.db import AsyncpgDriver


async def connected():
    """Return a driver, with the tables made; processes that start together make them once."""
    connection = await asyncpg.connect(place.URL)
    driver = AsyncpgDriver(connection)
    await connection.execute("SELECT pg_advisory_lock(4711)")
    try:
        queries = Queries(driver)
        if not await queries.has_table("pgqueuer"):
            await queries.install()
    finally:
        await connection.execute("SELECT pg_advisory_unlock(4711)")
    return driver


async def work():
    """Be one of the worker's processes."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    queuer = PgQueuer(await connected())

    async def nothing(job):
        pass

    for name in ("noop", "kept", "take"):
        queuer.entrypoint(name)(nothing)

    @queuer.entrypoint("nap")
    async def nap(job):
        await asyncio.to_thread(place.nap)

    @queuer.entrypoint("mark")
    async def mark(job):
        place.write_mark(job.payload.decode())

    await queuer.run(dequeue_timeout=SOON, batch_size=BATCH)


def be_process():
    asyncio.run(work())


def worker(concurrency, pool):
    processes = concurrency if pool == "processes" else 1
    return [sys.executable, "-m", __name__, str(processes)]


class Client:
    """The calling side: one connection and its loop."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.driver = self.run(connected())
        self.queries = Queries(self.driver)

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    async def enqueue(self, name, count):
        sent = []
        for start in range(0, count, CHUNK):
            some = min(CHUNK, count - start)
            sent += await self.queries.enqueue([name] * some, [TASKS[name]] * some, [0] * some)
        return sent

    async def finish(self, count):
        """Send *count* tasks and wait until each is noted as done."""
        watcher = CompletionWatcher(self.driver, queries=self.queries, debounce=timedelta(milliseconds=1))
        async with watcher:
            waits = [watcher.wait_for(job) for job in await self.enqueue("kept", count)]
            await asyncio.wait_for(asyncio.gather(*waits), 120)


clients = []


def client():
    if not clients:
        clients.append(Client())
    return clients[0]


def send_mark(label):
    client().run(client().queries.enqueue("mark", label.encode()))


def send(name, count, bulk):
    if bulk:
        client().run(client().enqueue(name, count))
    else:
        for _ in range(count):
            client().run(client().queries.enqueue(name, TASKS[name]))


def round_trip():
    client().run(client().finish(1))


def read_back(count):
    """Send *count* tasks and wait for every one."""
    client().run(client().finish(count))


if __name__ == "__main__":
    # To end by SystemExit ends the children too; to be killed by the signal would leave them at work.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    children = [multiprocessing.Process(target=be_process, daemon=True) for _ in range(int(sys.argv[1]))]
    for child in children:
        child.start()
    for child in children:
        child.join()
