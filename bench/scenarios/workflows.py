"""Chords, chains and groups of tasks that do nothing, and reading a group's results, with a worker that runs already."""

from __future__ import annotations

from bench.stage import each_peer

TITLE = "workflows: members a second of a chord, a chain and a group, sent and waited for"


def measure(stage, tasks):
    count = max(200, int(tasks * stage.share / 10))
    stage.running_worker(2)
    chord = stage.client("flow", "chord", count)
    chain = stage.client("flow", "chain", max(100, count // 2))
    group = stage.client("flow", "group", count)
    read = stage.client("flow", "groupget", count)
    return {
        "members": count,
        "chord/s": count / chord["seconds"],
        "chain/s": max(100, count // 2) / chain["seconds"],
        "sent/s": count / group["seconds"],
        "read/s": count / read["seconds"],
        "send CPU us": 1e6 * group["cpu"] / count,
    }


def run(options, broker):
    return each_peer(options, broker, lambda stage: measure(stage, options.tasks), ["umbel", "celery"])
