"""Processes measured from outside."""

from __future__ import annotations

import contextlib

import psutil

__all__ = ["Tree"]


class Tree:
    """A process and all that descend from it."""

    def __init__(self, pid):
        self.root = psutil.Process(pid)

    def processes(self):
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self.root, *self.root.children(recursive=True)]
        return []

    def cpu(self):
        """Return the CPU seconds that the tree has used, its dead children included."""
        return sum(cpu_of(process) for process in self.processes())

    def root_cpu(self):
        """Return the CPU seconds that the root alone has used."""
        with contextlib.suppress(psutil.NoSuchProcess):
            times = self.root.cpu_times()
            return times.user + times.system
        return 0.0

    def memory(self):
        """Return the private memory of each process in MB, the root's first."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(process.memory_full_info().uss / 1e6)
        return found


def cpu_of(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return times.user + times.system + times.children_user + times.children_system
    return 0.0
