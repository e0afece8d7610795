"""A worker with two processes works through a full queue of no-ops, results off and on."""

from __future__ import annotations

from bench.stage import each_peer

TITLE = "drain: no-op tasks a second, two pool processes; CPU of the whole worker tree"


def drain(stage, task, count):
    """Fill the queue, start a worker, and return (tasks a second, CPU in us a task)."""
    stage.client("marked", task, count)
    tree = stage.worker(2)
    first = stage.wait_for_mark("first")
    before = tree.cpu()
    last = stage.wait_for_mark("last")
    used = tree.cpu() - before
    tree.end()
    stage.forget_marks()
    return count / (last - first), 1e6 * used / count


def measure(stage, options):
    count = int(options.tasks * stage.share)
    rate, cpu = drain(stage, "noop", count)
    row = {"tasks": count, "off/s": rate, "off CPU us": cpu}
    rate, cpu = drain(stage, "kept", count)
    return {**row, "results/s": rate, "results CPU us": cpu}


def run(options):
    return each_peer(options.peers, options.redis, lambda stage: measure(stage, options))
