"""Umbel, on whichever broker."""

from __future__ import annotations

import asyncio
import os
import sys
import time

from bench.peers import place
from umbel import Umbel, chain, chord, group

NAME = f"Umbel, {place.BROKER}"
SHARE = 1.0
BULK = "delay_many"
NAPS = {"threads": "nap", "asyncio": "nap_async"}

os.environ.setdefault("UMBEL_HOME", f"{place.HOME}/umbel")
app = Umbel(
    "bench",
    broker=place.URL or None,
    task_workflow_storage=os.environ.get("BENCH_WORKFLOWS", "auto"),
    backend=os.environ.get("BENCH_BACKEND") or ("rpc://" if place.BROKER == "rabbitmq" else place.URL or None),
)


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
async def nap_async():
    began = time.time()
    await asyncio.sleep(place.NAP_S)
    place.note_nap(began)


@app.task(ignore_result=True)
def mark(label):
    place.write_mark(label)


TASKS = {
    "noop": (noop, ()),
    "kept": (kept, ()),
    "take": (take, (place.PAYLOAD,)),
    "nap": (nap, ()),
    "nap_async": (nap_async, ()),
}


def missing():
    modules = {"redis": ["redis"], "rabbitmq": ["amqp"], "postgres": ["psycopg"]}
    return place.missing_module(*modules.get(place.BROKER, ()))


def worker(concurrency, pool):
    kind = "prefork" if pool == "processes" else pool
    options = ["-P", kind, "-c", str(concurrency), "-l", "warning"]
    return [sys.executable, "-m", "umbel", "-A", __name__, "worker", *options]


def send_mark(label):
    mark.delay(label)


def send(name, count, bulk):
    task, arguments = TASKS[name]
    if bulk:
        for start in range(0, count, 1000):
            task.delay_many([arguments] * min(1000, count - start))
    else:
        for _ in range(count):
            task.delay(*arguments)


def round_trip():
    kept.delay().get(timeout=30)


def read_back(count):
    """Send *count* tasks and read every result."""
    from umbel import ResultSet

    for _ in ResultSet(kept.delay_many([()] * count), app=app).iterate(timeout=120):
        pass


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
