"""Send many, and read every result back, with a worker that runs already."""

from __future__ import annotations

from bench.stage import each_peer

TITLE = "results: tasks a second, sent and every result read back"


def measure(stage, tasks):
    count = int(tasks * stage.share / 4)
    stage.running_worker(2)
    done = stage.client("read", count)
    return {"tasks": count, "tasks/s": count / done["seconds"], "caller CPU us": 1e6 * done["cpu"] / count}


def run(options, broker):
    return each_peer(options, broker, lambda stage: measure(stage, options.tasks))
