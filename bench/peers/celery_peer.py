"""Celery over Redis or RabbitMQ; beside SQLite over its file system transport, which needs no server either."""

from __future__ import annotations

import os
import sys

from bench.peers import place

FILES = place.BROKER not in ("redis", "rabbitmq")
NAME = "Celery, files" if FILES else f"Celery, {place.BROKER}"
SHARE = 0.1
BULK = "group"
NAPS = {"threads": "nap"}
BACKENDS = {"redis": place.URL, "rabbitmq": "rpc://"}


def missing():
    return place.missing_module("celery", *(["redis"] if place.BROKER == "redis" else []))


if not missing():
    from celery import Celery, chain, chord, group

    app = Celery(
        "bench",
        broker="filesystem://" if FILES else place.URL,
        backend=BACKENDS.get(place.BROKER, f"file://{place.HOME}"),
    )
    if FILES:
        for name in ("queue", "processed", "control"):
            os.makedirs(f"{place.HOME}/celery/{name}", exist_ok=True)
        app.conf.broker_transport_options = {
            "data_folder_in": f"{place.HOME}/celery/queue",
            "data_folder_out": f"{place.HOME}/celery/queue",
            "processed_folder": f"{place.HOME}/celery/processed",
            "control_folder": f"{place.HOME}/celery/control",
        }
    app.conf.update(broker_connection_retry_on_startup=True, worker_prefetch_multiplier=4)

    @app.task(ignore_result=True)
    def noop():
        pass

    @app.task
    def kept():
        return 1

    @app.task
    def gather(values):
        return len(values)

    @app.task(ignore_result=True)
    def take(text):
        pass

    @app.task(ignore_result=True)
    def nap():
        place.nap()

    @app.task(ignore_result=True)
    def mark(label):
        place.write_mark(label)

    TASKS = {"noop": (noop, ()), "kept": (kept, ()), "take": (take, (place.PAYLOAD,)), "nap": (nap, ())}


def worker(concurrency, pool):
    kind = "prefork" if pool == "processes" else pool
    options = ["-P", kind, "-c", str(concurrency), "-l", "error"]
    return [sys.executable, "-m", "celery", "-A", __name__, "worker", *options]


def send_mark(label):
    mark.delay(label)


def send(name, count, bulk):
    task, arguments = TASKS[name]
    if bulk:
        for start in range(0, count, 1000):
            group(task.s(*arguments) for _ in range(min(1000, count - start))).apply_async()
    else:
        for _ in range(count):
            task.delay(*arguments)


def round_trip():
    kept.delay().get(timeout=30)


def read_back(count):
    """Send *count* tasks and read every result."""
    for result in [kept.delay() for _ in range(count)]:
        result.get(timeout=120)


def flow(kind, count):
    """Send a workflow of *count* tasks and wait for it; of a group measure the sending alone: return the waiting."""
    if kind == "chord":
        chord((kept.si() for _ in range(count)), gather.s()).apply_async().get(timeout=140)
    elif kind == "chain":
        chain(*(kept.si() for _ in range(count))).apply_async().get(timeout=140)
    else:
        result = group(kept.si() for _ in range(count)).apply_async()
        if kind == "group":
            return lambda: result.get(timeout=140)
        result.get(timeout=140)
    return None
