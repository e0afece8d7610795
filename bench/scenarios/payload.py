"""Draining tasks with an argument of 64 KiB."""

from __future__ import annotations

from bench.scenarios.drain import drain
from bench.stage import each_peer

TITLE = "payload: tasks a second with an argument of 64 KiB"


def measure(stage, tasks):
    count = int(tasks * stage.share / 8)
    figures = drain(stage, "take", count)
    return {"tasks": count, **figures, "MB/s": figures["tasks/s"] * 65536 / 1e6}


def run(options, broker):
    return each_peer(options, broker, lambda stage: measure(stage, options.tasks))
