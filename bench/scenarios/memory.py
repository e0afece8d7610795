"""Private memory of a worker that has run a thousand tasks."""

from __future__ import annotations

from bench.stage import each_peer

TITLE = "memory: private memory (USS) in MB after 1,000 tasks, two pool processes"


def measure(stage):
    tree = stage.running_worker(2)
    stage.client("marked", "noop", 1000)
    stage.wait_for_mark("last")
    parent, *children = tree.memory()
    return {"parent MB": parent, "largest child MB": max(children, default=0.0), "whole MB": parent + sum(children)}


def run(options, broker):
    return each_peer(options, broker, measure)
