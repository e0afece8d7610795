"""Where a run keeps its files, and what every peer's tasks do."""

from __future__ import annotations

import importlib.util
import os
import time

HOME = os.environ.get("BENCH_HOME", "/tmp")
REDIS = os.environ.get("BENCH_REDIS", "")
PAYLOAD = "x" * 65536


def write_mark(label):
    """Write the time to the file of *label*, all at once."""
    path = f"{HOME}/mark-{label}"
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write(repr(time.time()))
    os.replace(f"{path}.new", path)


def missing_module(*names):
    """Name the first module that is not installed, or return nothing."""
    return next((f"{name} is not installed" for name in names if importlib.util.find_spec(name) is None), "")
