"""What is measured, one file a scenario: ``TITLE`` and ``run(options) -> (rows, left out)``."""

from __future__ import annotations

import importlib

SCENARIOS = ("enqueue", "drain", "results", "roundtrip", "payload", "pool", "startup", "idle", "memory")


def load(name):
    return importlib.import_module(f"bench.scenarios.{name}")
