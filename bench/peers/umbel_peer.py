"""Umbel over its embedded SQLite file."""

from __future__ import annotations

import os
import sys

from bench.peers import place
from umbel import Umbel

NAME = "Umbel, SQLite, prefork"
SHARE = 1.0

os.environ.setdefault("UMBEL_HOME", f"{place.HOME}/umbel")
app = Umbel("bench")


@app.task(ignore_result=True)
def noop():
    pass


@app.task
def kept():
    return 1


@app.task(ignore_result=True)
def take(text):
    pass


@app.task(ignore_result=True)
def mark(label):
    place.write_mark(label)


TASKS = {"noop": (noop, ()), "kept": (kept, ()), "take": (take, (place.PAYLOAD,))}
BULK = "delay_many"


def missing():
    return ""


def worker(concurrency):
    return [sys.executable, "-m", "umbel", "-A", __name__, "worker", "-c", str(concurrency), "-l", "warning"]


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
