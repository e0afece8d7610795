"""Chords, chains and groups of tasks that do nothing, and reading a group's results, with a worker that runs already.

Every system gets workflows of the same length, since a step of a chain costs the more the longer the chain is. The
fastest one alone gets the long ones too, which show what becomes of the cost of a member.
"""

from __future__ import annotations

import os

from bench.stage import each_peer

TITLE = "workflows: members a second of a chord, a chain and a group, sent and waited for"
#: What the longest chord, chain and group are of the number of tasks, and what those are that every system gets.
LONG_CHORD, LONG_CHAIN, LONG_GROUP = 0.5, 0.05, 0.5
CHORD, CHAIN, READ = 0.1, 0.015, 0.1


def measure(stage, tasks):
    def rate(kind, share):
        count = max(20, int(tasks * share))
        return count / stage.client("flow", kind, count)["seconds"]

    stage.running_worker(2)
    sent = max(20, int(tasks * LONG_GROUP))
    group = stage.client("flow", "group", sent)
    row = {
        "chord/s": rate("chord", CHORD),
        "chain/s": rate("chain", CHAIN),
        "read/s": rate("groupget", READ),
        "sent/s": sent / group["seconds"],
        "send CPU us": 1e6 * group["cpu"] / sent,
    }
    if stage.share == 1.0:
        row["long chord/s"] = rate("chord", LONG_CHORD)
        row["long chain/s"] = rate("chain", LONG_CHAIN)
        if not os.environ.get("BENCH_WORKFLOWS"):
            stage.environment["BENCH_WORKFLOWS"] = "stored"
            row["stored chain/s"] = rate("chain", LONG_CHAIN)
    return row


def run(options, broker):
    return each_peer(options, broker, lambda stage: measure(stage, options.tasks), ["umbel", "celery"])
