"""dramatiq over Redis or RabbitMQ, tuned: few threads, a large prefetch, and the middleware that a plain task needs."""

from __future__ import annotations

import os
import sys

from bench.peers import place

NAME = f"dramatiq, {place.BROKER}, tuned"
SHARE = 0.25
BULK = ""
NAPS = {"threads": "nap"}
PREFETCH = "1000"

os.environ["dramatiq_queue_prefetch"] = PREFETCH  # noqa: SIM112 - dramatiq reads it in lower case


def missing():
    driver = {"redis": "redis", "rabbitmq": "pika"}.get(place.BROKER)
    if driver is None:
        return f"it does not run on {place.BROKER}"
    return place.missing_module("dramatiq", "redis", driver) or ("" if place.RESULTS else "no Redis for its results")


if not missing():
    import dramatiq
    from dramatiq.middleware import Callbacks, Pipelines, Retries
    from dramatiq.results import Results
    from dramatiq.results.backends import RedisBackend

    middleware = [Callbacks(), Pipelines(), Retries(), Results(backend=RedisBackend(url=place.RESULTS))]
    if place.BROKER == "redis":
        from dramatiq.brokers.redis import RedisBroker

        broker = RedisBroker(url=place.URL, middleware=middleware)
    else:
        from dramatiq.brokers.rabbitmq import RabbitmqBroker

        broker = RabbitmqBroker(url=place.URL.removesuffix("//") + "/%2F", middleware=middleware)
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
    def nap():
        place.nap()

    @dramatiq.actor
    def mark(label):
        place.write_mark(label)

    TASKS = {"noop": (noop, ()), "kept": (kept, ()), "take": (take, (place.PAYLOAD,)), "nap": (nap, ())}


def worker(concurrency, pool):
    processes, threads = (concurrency, 4) if pool == "processes" else (1, concurrency)
    return [sys.executable, "-m", "dramatiq", __name__, "-p", str(processes), "-t", str(threads), "--skip-logging"]


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
