"""huey over SQLite or Redis."""

from __future__ import annotations

import sys

from bench.peers import place

NAME = f"huey, {place.BROKER}"
SHARE = 0.5
BULK = ""
NAPS = {"threads": "nap"}


def missing():
    if place.BROKER not in ("sqlite", "redis"):
        return f"it does not run on {place.BROKER}"
    return place.missing_module("huey", *(["redis"] if place.BROKER == "redis" else []))


if not missing():
    from huey import RedisHuey, SqliteHuey

    if place.BROKER == "redis":
        huey = RedisHuey("bench", url=place.URL)
    else:
        huey = SqliteHuey("bench", filename=f"{place.HOME}/huey.db")

    @huey.task()
    def noop():
        pass  # None is not stored

    @huey.task()
    def kept():
        return 1

    @huey.task()
    def take(text):
        pass

    @huey.task()
    def nap():
        place.nap()

    @huey.task()
    def mark(label):
        place.write_mark(label)

    TASKS = {"noop": (noop, ()), "kept": (kept, ()), "take": (take, (place.PAYLOAD,)), "nap": (nap, ())}


def worker(concurrency, pool):
    program = "from huey.bin.huey_consumer import consumer_main; consumer_main()"
    kind = "process" if pool == "processes" else "thread"
    options = ["-w", str(concurrency), "-k", kind, "-q", "-n", "-d", "0.01", "-m", "0.01"]
    return [sys.executable, "-c", program, f"{__name__}.huey", *options]


def send_mark(label):
    mark(label)


def send(name, count, bulk):
    task, arguments = TASKS[name]
    for _ in range(count):
        task(*arguments)


def round_trip():
    kept().get(blocking=True, timeout=30, backoff=1.0, max_delay=0.001)


def read_back(count):
    """Send *count* tasks and read every result."""
    for result in [kept() for _ in range(count)]:
        result.get(blocking=True, timeout=120, backoff=1.0, max_delay=0.001)
