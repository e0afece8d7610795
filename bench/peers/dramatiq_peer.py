"""dramatiq over Redis."""

from __future__ import annotations

import sys

from bench.peers import place

NAME = "dramatiq, Redis, processes"
SHARE = 0.25
BULK = ""


def missing():
    return place.missing_module("dramatiq", "redis") or ("" if place.REDIS else "no redis-server is installed")


if not missing():
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.results import Results
    from dramatiq.results.backends import RedisBackend

    broker = RedisBroker(url=place.REDIS)
    broker.add_middleware(Results(backend=RedisBackend(url=place.REDIS)))
    dramatiq.set_broker(broker)

    @dramatiq.actor
    def noop():
        pass

    @dramatiq.actor(store_results=True)
    def kept():
        return 1

    @dramatiq.actor
    def take(text):
        pass

    @dramatiq.actor
    def mark(label):
        place.write_mark(label)

    TASKS = {"noop": (noop, ()), "kept": (kept, ()), "take": (take, (place.PAYLOAD,))}


def worker(concurrency):
    return [sys.executable, "-m", "dramatiq", __name__, "-p", str(concurrency), "-t", "4", "--skip-logging"]


def send_mark(label):
    mark.send(label)


def send(name, count, bulk):
    task, arguments = TASKS[name]
    for _ in range(count):
        task.send(*arguments)


def round_trip():
    kept.send().get_result(block=True, timeout=30_000)


def read_back(count):
    """Send *count* tasks and read every result."""
    for message in [kept.send() for _ in range(count)]:
        message.get_result(block=True, timeout=120_000)
