"""One module a competitor: its application, how its worker is started, and the same few operations for each.

A module has ``NAME``, ``SHARE`` (of the number of tasks: slow ones get fewer, the rate is the same), ``missing()`` (what is
not there, or nothing), ``worker(concurrency)`` (its command), ``send(task, count, bulk)`` and ``round_trip()``. Its tasks are
``noop`` (result ignored), ``kept`` (result stored), ``take`` (64 KiB argument) and ``mark`` (writes the time to a file).
"""

from __future__ import annotations

import importlib

__all__ = ["PEERS", "load"]

PEERS = ("umbel", "huey", "celery", "dramatiq")


def load(name):
    """Import the module of a peer. Its library may be missing."""
    return importlib.import_module(f"bench.peers.{name}_peer")
