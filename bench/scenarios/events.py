"""What it costs to tell of every task: the drain of no-ops without and with task events (``-E``)."""

from __future__ import annotations

from bench.scenarios.drain import drain
from bench.stage import each_peer

TITLE = "events: no-op tasks a second without and with task events, best of two in turn; CPU a task"
ROUNDS = 2


def measure(stage, options):
    count = int(options.tasks * stage.share)
    off, on = [], []
    for _ in range(ROUNDS):
        off.append(drain(stage, "noop", count))
        on.append(drain(stage, "noop", count, more=["-E"]))
    best = max(off, key=lambda figures: figures["tasks/s"]), max(on, key=lambda figures: figures["tasks/s"])
    return {
        "tasks": count,
        **{f"off {name}": figure for name, figure in best[0].items()},
        **{f"on {name}": figure for name, figure in best[1].items()},
        "on/off %": 100 * best[1]["tasks/s"] / best[0]["tasks/s"],
    }


def run(options, broker):
    return each_peer(options, broker, lambda stage: measure(stage, options), ("umbel", "celery"))
