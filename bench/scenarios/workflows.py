"""Chords, chains and groups of tasks that do nothing, and reading a group's results, with a worker that runs already.

``--flows chain=100,1000 chord=2000`` chooses what is measured, and of which lengths. Every system gets workflows of the
same length, since a step of a chain costs the more the longer the chain is; only without ``--flows`` does the fastest one
get longer ones too.
"""

from __future__ import annotations

import os

from bench.stage import each_peer

TITLE = "workflows: members a second of a chord, a chain and a group, sent and waited for"
#: Each kind with the shares of the number of tasks that every system gets as its length, and the fastest alone.
SHARES = {
    "chord": ((0.1,), (0.5,)),
    "chain": ((0.005, 0.015), (0.05,)),
    "group": ((0.5,), ()),
    "read": ((0.1,), ()),
}
LEAST = 20


def chosen(options, is_fastest):
    """Return each kind with the lengths to measure."""
    if options.flows:
        return options.flows
    found = {}
    for kind, (for_all, for_one) in SHARES.items():
        shares = (*for_all, *for_one) if is_fastest else for_all
        found[kind] = [max(LEAST, int(options.tasks * share)) for share in shares]
    return found


def parse(text):
    """Read ``KIND`` or ``KIND=LENGTH,LENGTH``; the length of a kind alone is 2,000."""
    kind, _, lengths = text.partition("=")
    if kind not in SHARES:
        raise ValueError(f"expected one of {', '.join(SHARES)}, got {kind!r}")
    return kind, [int(length) for length in (lengths or "2000").split(",")]


def measure(stage, options):
    stage.running_worker(2)
    row = {}
    for kind, lengths in chosen(options, stage.share == 1.0).items():
        for length in lengths:
            row |= figures(stage, kind, length)
    if stage.share == 1.0 and not os.environ.get("BENCH_WORKFLOWS"):
        stage.environment["BENCH_WORKFLOWS"] = "stored"
        for length in chosen(options, True).get("chain", ()):
            row[f"stored chain {length:,}/s"] = length / stage.client("flow", "chain", length)["seconds"]
    return row


def figures(stage, kind, length):
    """Measure one workflow and return its columns."""
    found = stage.client("flow", "groupget" if kind == "read" else kind, length)
    row = {f"{kind} {length:,}/s": length / found["seconds"]}
    if kind == "group":
        row[f"{kind} {length:,} send us"] = 1e6 * found["cpu"] / length
    return row


def run(options, broker):
    return each_peer(options, broker, lambda stage: measure(stage, options), ["umbel", "celery"])
