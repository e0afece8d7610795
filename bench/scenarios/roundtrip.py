"""Send one, wait for its result, again and again."""

from __future__ import annotations

from bench.stage import each_peer

TITLE = "roundtrip: send one task and wait for its result, in ms"


def measure(stage, count):
    stage.running_worker(2)
    trips = stage.client("trips", count)["trips"]
    return {"p50 ms": 1e3 * trips[len(trips) // 2], "p99 ms": 1e3 * trips[int(len(trips) * 0.99)]}


def run(options, broker):
    return each_peer(options, broker, lambda stage: measure(stage, options.trips))
