"""Draining tasks with an argument of 64 KiB."""

from __future__ import annotations

from bench.scenarios.drain import drain
from bench.stage import each_peer

TITLE = "payload: tasks a second with an argument of 64 KiB"


def measure(stage, tasks):
    count = int(tasks * stage.share / 8)
    rate, cpu = drain(stage, "take", count)
    return {"tasks": count, "tasks/s": rate, "MB/s": rate * 65536 / 1e6, "CPU us": cpu}


def run(options):
    return each_peer(options.peers, options.redis, lambda stage: measure(stage, options.tasks))
