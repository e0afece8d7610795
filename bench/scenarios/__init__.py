"""What is measured, one file a scenario: ``TITLE`` and ``run(options, broker) -> (rows, left out)``.

A scenario with ``ONCE`` does not depend on the broker, and runs on the first one alone.
"""

from __future__ import annotations

import importlib

SCENARIOS = (
    "enqueue",
    "drain",
    "events",
    "results",
    "roundtrip",
    "workflows",
    "depth",
    "sleepers",
    "payload",
    "pool",
    "steps",
    "startup",
    "idle",
    "memory",
)


def load(name):
    return importlib.import_module(f"bench.scenarios.{name}")
