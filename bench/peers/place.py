"""Where a run takes place, and what every peer's tasks do."""

from __future__ import annotations

import importlib.util
import os
import time

#: A folder of the run's own, the broker's name and URL, and a Redis for results where the broker keeps none.
HOME = os.environ.get("BENCH_HOME", "/tmp")
BROKER = os.environ.get("BENCH_BROKER", "sqlite")
URL = os.environ.get("BENCH_URL", "")
RESULTS = os.environ.get("BENCH_RESULTS", "")
PAYLOAD = "x" * 65536
NAP_S = 0.05


def write_mark(label):
    """Write the time to the file of *label*, all at once."""
    path = f"{HOME}/mark-{label}"
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write(repr(time.time()))
    os.replace(f"{path}.new", path)


def note_nap(began):
    """Add a line to the file of naps."""
    with open(f"{HOME}/naps", "a", encoding="ascii") as file:
        file.write(f"{began!r} {time.time()!r}\n")


def nap():
    """Wait as a task does that waits for the network."""
    began = time.time()
    time.sleep(NAP_S)
    note_nap(began)


def missing_module(*names):
    """Name the first module that is not installed, or return nothing."""
    return next((f"{name} is not installed" for name in names if importlib.util.find_spec(name) is None), "")
