"""A worker with two processes works through a full queue of no-ops, results off and on."""

from __future__ import annotations

from bench.stage import Meter, each_peer

TITLE = (
    "drain: no-op tasks a second, two pool processes; CPU a task of the worker's tree, of its parent and of the broker"
)


def drain(stage, task, count, prefix="", more=()):
    """Fill the queue, start a worker, and return its rate and what a task cost."""
    stage.client("marked", task, count)
    worker = stage.worker(2, more=more)
    first = stage.wait_for_mark("first")
    meter = Meter(stage, worker)
    last = stage.wait_for_mark("last")
    costs = meter.each(count, prefix)
    worker.end()
    stage.forget_marks()
    return {f"{prefix}tasks/s": count / (last - first), **costs}


def measure(stage, options):
    count = int(options.tasks * stage.share)
    return {"tasks": count, **drain(stage, "noop", count), **drain(stage, "kept", count, "stored ")}


def run(options, broker):
    return each_peer(options, broker, lambda stage: measure(stage, options))
