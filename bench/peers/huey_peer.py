"""huey over SQLite, with worker processes."""

from __future__ import annotations

import sys

from bench.peers import place

NAME = "huey, SQLite, processes"
SHARE = 0.5
BULK = ""


def missing():
    return place.missing_module("huey")


if not missing():
    from huey import SqliteHuey

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
    def mark(label):
        place.write_mark(label)

    TASKS = {"noop": (noop, ()), "kept": (kept, ()), "take": (take, (place.PAYLOAD,))}


def worker(concurrency):
    program = "from huey.bin.huey_consumer import consumer_main; consumer_main()"
    options = ["-w", str(concurrency), "-k", "process", "-q", "-n", "-d", "0.01", "-m", "0.01"]
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
