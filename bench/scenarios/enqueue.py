"""Sending: one by one, and in bulk where there is such a call."""

from __future__ import annotations

from bench import peers
from bench.stage import each_peer

TITLE = "enqueue: no-op tasks a second; CPU a task of the caller"


def measure(stage, tasks):
    count = int(tasks * max(stage.share, 0.1) / 2)
    single = stage.client("send", "noop", count, "single", 100)
    row = {"one by one/s": count / single["seconds"], "CPU us": 1e6 * single["cpu"] / count}
    if stage.bulk:
        bulk = stage.client("send", "noop", count * 2, "bulk", 100)
        row |= {"bulk/s": 2 * count / bulk["seconds"], "bulk CPU us": 1e6 * bulk["cpu"] / (2 * count), "by": stage.bulk}
    return row


def run(options, broker):
    names = (*peers.PEERS[broker.name], *peers.SENDERS.get(broker.name, ()))
    return each_peer(options, broker, lambda stage: measure(stage, options.tasks), names)
