"""One module a competitor: its application, how its worker is started, and the same few operations for each.

A module has ``NAME``, ``SHARE`` (of the number of tasks: slow ones get fewer, the rate is the same), ``BULK`` (its call for
many, if any), ``NAPS`` (its pools for tasks that wait, each with the task to use), ``missing()`` (what is not there, or
nothing), ``worker(concurrency, pool)`` (its command; *pool* is ``processes`` or a key of ``NAPS``), ``send(task, count,
bulk)``, ``round_trip()`` and ``read_back(count)``. Its tasks are ``noop`` (result ignored), ``kept`` (result stored),
``take`` (64 KiB argument), ``nap`` (waits 50 ms and notes when) and ``mark`` (writes the time to a file). Where it runs
is told by :mod:`bench.peers.place`. To add one: the module, its line in :data:`PEERS`, and its distribution in the extra
``peers``.
"""

from __future__ import annotations

import importlib

__all__ = ["PEERS", "SENDERS", "facts", "load"]

#: Who runs on which broker; ratios are told for the first.
PEERS = {
    "sqlite": ("umbel", "huey", "celery"),
    "redis": ("umbel", "celery", "dramatiq", "huey"),
    "rabbitmq": ("umbel", "celery", "dramatiq"),
    "postgres": ("umbel", "pgqueuer"),
}

#: Who only sends, and how: beside those above where sending is measured. They have ``NAME``, ``SHARE``, ``BULK``,
#: ``missing()`` and ``send()``.
SENDERS = {"rabbitmq": ("umbel_window", "frames", "celery_confirmed")}


def load(name):
    """Import the module of a peer. Its library may be missing."""
    return importlib.import_module(f"bench.peers.{name}_peer")


def facts(peer):
    """Return what the other side of a measurement must know of a peer."""
    return peer.NAME, peer.SHARE, peer.BULK, peer.NAPS
