"""Importing, asking for help, and the time until a worker runs its first task."""

from __future__ import annotations

import resource
import subprocess
import sys
import time

from bench.stage import each_peer

TITLE = "startup: CPU in ms above an empty Python, best of five; seconds until the first task has run"
HELP = {
    "umbel": ["-m", "umbel", "--help"],
    "celery": ["-m", "celery", "--help"],
    "huey": ["-c", "from huey.bin.huey_consumer import consumer_main; consumer_main()", "--help"],
    "dramatiq": ["-m", "dramatiq", "--help"],
}


def used():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cpu_ms(*arguments):
    """Return the CPU of a Python process, the least of five, in ms."""
    found = []
    for _ in range(5):
        before = used()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        found.append(used() - before)
    return 1e3 * min(found)


def measure(stage):
    empty = cpu_ms("-c", "")
    row = {"import ms": cpu_ms("-c", f"import {stage.peer}") - empty}
    if stage.peer in HELP:
        row["--help ms"] = cpu_ms(*HELP[stage.peer]) - empty
    stage.client("mark", "running")
    began = time.time()
    stage.worker(2)
    return {**row, "first task s": stage.wait_for_mark("running") - began}


def run(options, broker):
    return each_peer(options, broker, measure)
