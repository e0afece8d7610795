"""Whether a long queue is drained as fast as a short one."""

from __future__ import annotations

from bench.scenarios.drain import drain
from bench.stage import each_peer

TITLE = "depth: no-op tasks a second by the length of the queue (Umbel alone, unless peers are named)"
DEPTHS = (10_000, 50_000, 100_000, 500_000)


def measure(stage, most):
    row = {}
    for depth in DEPTHS:
        if depth <= most:
            rates = drain(stage, "noop", depth)
            row |= {f"{depth:,}/s": rates["tasks/s"], f"{depth:,} us": rates["CPU us"]}
    return row


def run(options, broker):
    return each_peer(options, broker, lambda stage: measure(stage, options.depth), names=("umbel",))
